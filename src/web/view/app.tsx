import {
  useEffect,
  useLayoutEffect,
  useReducer,
  useRef,
  useState,
} from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import { addressOfRoom, roomOfAddress } from "./address.ts";
import { Announcer } from "./announcer.tsx";
import { Banner } from "./banner.tsx";
import { Composer } from "./composer.tsx";
import { Header } from "./header.tsx";
import { Members } from "./members.tsx";
import { MessageList } from "./message-list.tsx";
import { Notices } from "./notices.tsx";
import { NoRoom, RoomProblem } from "./empty.tsx";
import { Sidebar } from "./sidebar.tsx";
import { TypingLine } from "./typing-line.tsx";
import { useMedia } from "./use-media.ts";
import { Welcome } from "./welcome.tsx";

export const NARROW = "(max-width: 760px)";
export const ROOMY = "(min-width: 1100px)";

/** The whole page. */
export function App({ chat }: { chat: Chat }) {
  useRedraw(chat);
  useTheme(chat);
  const named = chat.settings.current.name !== undefined;
  const asks = !named || chat.nameProblem !== undefined;
  useEffect(() => {
    if (named) chat.start(roomOfAddress());
  }, [named]);
  const asked = useRef(false);
  asked.current ||= asks;
  return asks ? (
    <Welcome chat={chat} />
  ) : (
    <Workplace chat={chat} entered={asked.current} />
  );
}

interface WorkplaceProps {
  readonly chat: Chat;
  /** Whoever has just given a name is about to write. */
  readonly entered: boolean;
}

function Workplace({ chat, entered }: WorkplaceProps) {
  const narrow = useMedia(NARROW);
  const roomy = useMedia(ROOMY);
  const [drawer, setDrawer] = useState(false);
  const [people, setPeople] = useState(roomy);
  const { room } = chat;
  const composer = useRef<HTMLTextAreaElement>(null);
  const wantsFocus = useRef(entered && !narrow);
  useEffect(() => setPeople(roomy), [roomy]);
  useAddressAndTitle(chat);

  const closePanels = (): void => {
    setDrawer(false);
    if (!roomy) setPeople(false);
  };
  const open = (name: string): void => {
    // On a phone that would bring up the keyboard.
    if (!narrow && name === chat.active) composer.current?.focus();
    else wantsFocus.current = !narrow;
    chat.openRoom(name);
    setDrawer(false);
  };
  const leave = (name: string): void => {
    // The button that had the focus is about to go.
    if (!narrow && name !== chat.active) composer.current?.focus();
    else wantsFocus.current = !narrow;
    chat.leaveRoom(name);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape") return closePanels();
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.altKey && step !== undefined) {
      event.preventDefault();
      const names = [...chat.rooms.keys()];
      const next = names.indexOf(chat.active ?? "") + step;
      const name = names.at(next % names.length);
      if (name !== undefined) open(name);
    } else if (isWriting(event)) composer.current?.focus();
  };
  // Of the document: where nothing has the focus, the page's body gets the keys.
  useEffect(() => {
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  });
  const covers = narrow ? drawer || people : people && !roomy;

  return (
    <div class="app">
      <button
        type="button"
        class="skip"
        onClick={() => composer.current?.focus()}
      >
        Skip to writing
      </button>
      <Sidebar
        chat={chat}
        open={open}
        leave={leave}
        shown={!narrow || drawer}
        close={narrow ? () => setDrawer(false) : undefined}
      />
      <main class="main" inert={narrow && covers}>
        <Header
          chat={chat}
          people={people}
          togglePeople={() => setPeople(!people)}
          openDrawer={narrow ? () => setDrawer(true) : undefined}
        />
        <Banner chat={chat} />
        {room === undefined ? (
          <NoRoom />
        ) : room.status === "failed" ? (
          <RoomProblem chat={chat} room={room} />
        ) : (
          <>
            <MessageList key={room.name} chat={chat} room={room} />
            <TypingLine room={room} />
            <Composer
              key={`write-${room.name}`}
              chat={chat}
              room={room}
              field={composer}
              wantsFocus={wantsFocus}
            />
          </>
        )}
      </main>
      {covers && <div class="shade" onClick={closePanels} />}
      {people && room && (
        <Members
          chat={chat}
          room={room}
          close={roomy ? undefined : () => setPeople(false)}
        />
      )}
      <Notices chat={chat} />
      <Announcer chat={chat} />
    </div>
  );
}

/** A key that writes something, pressed where nothing takes it. */
function isWriting({ key, altKey, ctrlKey, metaKey, target }: KeyboardEvent) {
  const { tagName, classList } = target as Element;
  const idle = tagName === "BODY" || classList.contains("messages");
  const writes = key.length === 1 && key !== " ";
  return idle && writes && !altKey && !ctrlKey && !metaKey;
}

/** Draws again after changes, at most once a frame. A hidden page has no frames, but its title is seen. */
function useRedraw(chat: Chat): void {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    let waiting = false;
    const draw = (): void => {
      waiting = false;
      redraw(undefined);
    };
    return chat.subscribe(() => {
      if (waiting) return;
      waiting = true;
      if (document.visibilityState === "visible") requestAnimationFrame(draw);
      else setTimeout(draw, 200);
    });
  }, [chat]);
}

function useTheme(chat: Chat): void {
  const dark = useMedia("(prefers-color-scheme: dark)");
  const { theme } = chat.settings.current;
  const shown = theme === "system" ? (dark ? "dark" : "light") : theme;
  useEffect(() => {
    document.documentElement.dataset.theme = shown;
  }, [shown]);
}

function useAddressAndTitle(chat: Chat): void {
  const { active, unread } = chat;
  useLayoutEffect(() => {
    if (active === undefined || roomOfAddress() === active) return;
    // The first one belongs to the page's own entry in the browser's history.
    if (location.hash === "")
      history.replaceState(null, "", addressOfRoom(active));
    else location.hash = addressOfRoom(active);
  }, [active]);
  useLayoutEffect(() => {
    const count = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ` : "";
    document.title = `${count}${active ?? "roomcast"}${active ? " · roomcast" : ""}`;
  }, [active, unread]);
}
