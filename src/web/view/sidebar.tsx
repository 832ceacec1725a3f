import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import type { RoomState } from "../state/room.ts";
import { MAX_ROOM_BYTES, nameProblem } from "../text/limits.ts";
import { CloseIcon, LeaveIcon, PlusIcon } from "./icons.tsx";
import { Logo } from "./logo.tsx";
import { Profile } from "./profile.tsx";

interface Props {
  readonly chat: Chat;
  readonly open: (room: string) => void;
  readonly leave: (room: string) => void;
  readonly shown: boolean;
  /** Where it covers the page. */
  readonly close: (() => void) | undefined;
}

/** The rooms one is in, and oneself. */
export function Sidebar({ chat, open, leave, shown, close }: Props) {
  const closeButton = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (shown && close) closeButton.current?.focus();
  }, [shown, close === undefined]);
  return (
    <nav
      class={shown ? "sidebar shown" : "sidebar"}
      aria-label="Rooms"
      inert={!shown}
    >
      <div class="brand">
        <Logo />
        <span class="brand-name">roomcast</span>
        {close && (
          <button
            ref={closeButton}
            type="button"
            class="round"
            aria-label="Close the list of rooms"
            onClick={close}
          >
            <CloseIcon />
          </button>
        )}
      </div>
      <h2 class="side-title">Rooms</h2>
      <ul class="rooms">
        {[...chat.rooms.values()].map((room) => (
          <RoomItem
            key={room.name}
            room={room}
            active={room.name === chat.active}
            open={open}
            leave={() => leave(room.name)}
          />
        ))}
      </ul>
      <JoinForm open={open} />
      <div class="grow" />
      <Profile chat={chat} />
    </nav>
  );
}

interface ItemProps {
  readonly room: RoomState;
  readonly active: boolean;
  readonly open: (room: string) => void;
  readonly leave: () => void;
}

function RoomItem({ room, active, open, leave }: ItemProps) {
  const { name, unread, unreadMore, status } = room;
  const shown = unread > 99 || unreadMore ? `${Math.min(unread, 99)}+` : unread;
  return (
    <li class={active ? "room active" : "room"}>
      <button
        type="button"
        class={unread > 0 ? "room-open unread" : "room-open"}
        aria-current={active ? "page" : undefined}
        onClick={() => open(name)}
      >
        <span class="hash" aria-hidden="true">
          #
        </span>
        <bdi class="room-name">{name}</bdi>
        {status === "failed" && <span class="badge failed">!</span>}
        {unread > 0 && (
          <span class="badge">
            {shown}
            <span class="unseen"> unread</span>
          </span>
        )}
      </button>
      <button
        type="button"
        class="room-leave"
        aria-label={`Leave ${name}`}
        title="Leave this room"
        onClick={leave}
      >
        <LeaveIcon />
      </button>
    </li>
  );
}

function JoinForm({ open }: { open: (room: string) => void }) {
  const [name, setName] = useState("");
  const wanted = name.trim().replace(/^#+/, "").trim();
  const problem = nameProblem(wanted, MAX_ROOM_BYTES);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (wanted === "" || problem) return;
    setName("");
    open(wanted);
  };
  return (
    <form class="join" onSubmit={submit}>
      <div class="join-row">
        <input
          name="room"
          dir="auto"
          autocomplete="off"
          spellcheck={false}
          placeholder="Join or start a room"
          aria-label="Join or start a room"
          aria-invalid={problem !== undefined}
          aria-describedby="room-problem"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <button
          type="submit"
          class="round"
          aria-label="Join the room"
          disabled={wanted === "" || problem !== undefined}
        >
          <PlusIcon />
        </button>
      </div>
      <p id="room-problem" class="problem" role="alert">
        {problem}
      </p>
    </form>
  );
}
