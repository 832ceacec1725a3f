import { render } from "preact";
import { Chat } from "./state/chat.ts";
import { browserStorage, SettingsStore } from "./state/settings.ts";
import { takeToken } from "./token.ts";
import { App } from "./view/app.tsx";
import { roomOfAddress } from "./view/address.ts";

const chat = new Chat(
  location.origin,
  new SettingsStore(browserStorage()),
  takeToken(),
);

document.addEventListener("visibilitychange", () =>
  chat.setVisible(document.visibilityState === "visible"),
);
// The last chance to remember what was read.
addEventListener("pagehide", () => chat.setVisible(false));
addEventListener("pageshow", () =>
  chat.setVisible(document.visibilityState === "visible"),
);
// The browser asks whether to leave: what waits is kept in the page only.
addEventListener("beforeunload", (event) => {
  if (chat.waiting) event.preventDefault();
});
addEventListener("hashchange", () => {
  const room = roomOfAddress();
  if (room !== undefined && chat.user) chat.openRoom(room);
});

render(<App chat={chat} />, document.getElementById("app")!);
