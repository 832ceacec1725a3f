import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import type { ConnectionView } from "../state/connection.ts";
import type { Format, Theme } from "../state/settings.ts";
import { MAX_NAME_BYTES, nameProblem } from "../text/limits.ts";
import { Avatar } from "./avatar.tsx";
import { Choice } from "./choice.tsx";
import { MoonIcon, PencilIcon, SunIcon, SystemIcon } from "./icons.tsx";

const FORMATS: readonly { value: Format; label: string }[] = [
  { value: "json", label: "JSON" },
  { value: "msgpack", label: "MessagePack" },
];

const THEMES = [
  { value: "system" as Theme, label: "As the system", icon: <SystemIcon /> },
  { value: "light" as Theme, label: "Light", icon: <SunIcon /> },
  { value: "dark" as Theme, label: "Dark", icon: <MoonIcon /> },
];

/** Oneself: name, connection, how the page looks. */
export function Profile({ chat }: { chat: Chat }) {
  const { user, settings } = chat;
  const [editing, setEditing] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const name = user?.name ?? settings.current.name ?? "";
  const { state, roundTripMs } = chat.connection;
  return (
    <section class="profile" aria-label="You">
      {editing ? (
        <NameForm
          chat={chat}
          done={() => {
            setEditing(false);
            requestAnimationFrame(() => button.current?.focus());
          }}
        />
      ) : (
        <div class="me">
          <Avatar user={user?.id ?? ""} name={name} />
          <div class="me-text">
            <bdi class="me-name">{name}</bdi>
            <span class={`status ${state}`}>
              <span class="dot" aria-hidden="true" />
              {statusText(chat.connection)}
              {state === "open" && roundTripMs !== undefined && (
                <span
                  class="round-trip"
                  title="Round-trip time to the server and back"
                >
                  {" · "}
                  {roundTrip(roundTripMs)}
                </span>
              )}
            </span>
          </div>
          <button
            ref={button}
            type="button"
            class="round"
            aria-label="Change your name"
            title="Change your name"
            onClick={() => setEditing(true)}
          >
            <PencilIcon />
          </button>
        </div>
      )}
      <div class="choices">
        <Choice
          legend="Format on the wire"
          name="format"
          options={FORMATS}
          value={chat.format}
          choose={(format) => chat.setFormat(format)}
        />
        <Choice
          legend="Colours"
          name="theme"
          options={THEMES}
          value={settings.current.theme}
          choose={(theme) => chat.setTheme(theme)}
        />
      </div>
    </section>
  );
}

function statusText({ state }: ConnectionView): string {
  switch (state) {
    case "open":
      return "Connected";
    case "connecting":
      return "Connecting…";
    case "reconnecting":
      return "Reconnecting…";
    case "closed":
      return "Disconnected";
  }
}

const roundTrip = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;

function NameForm({ chat, done }: { chat: Chat; done: () => void }) {
  const [name, setName] = useState(chat.settings.current.name ?? "");
  const field = useRef<HTMLInputElement>(null);
  const problem = nameProblem(name.trim(), MAX_NAME_BYTES);
  useEffect(() => field.current?.select(), []);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (problem) return;
    chat.setName(name.trim());
    done();
  };
  return (
    <form
      class="rename"
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        done();
      }}
    >
      <input
        ref={field}
        name="name"
        dir="auto"
        autocomplete="nickname"
        spellcheck={false}
        aria-label="Your name"
        aria-invalid={problem !== undefined}
        aria-describedby="rename-problem"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <button type="submit" class="small primary" disabled={!!problem}>
        Save
      </button>
      <button type="button" class="small" onClick={done}>
        Cancel
      </button>
      <p id="rename-problem" class="problem" role="alert">
        {problem}
      </p>
    </form>
  );
}
