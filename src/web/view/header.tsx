import { useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import { addressOfRoom } from "./address.ts";
import { LinkIcon, MenuIcon, PeopleIcon } from "./icons.tsx";

interface Props {
  readonly chat: Chat;
  readonly people: boolean;
  readonly togglePeople: () => void;
  /** Where the rooms are not beside it. */
  readonly openDrawer: (() => void) | undefined;
}

export function Header({ chat, people, togglePeople, openDrawer }: Props) {
  const { room } = chat;
  const others = chat.unread - (room?.unread ?? 0);
  return (
    <header class="header">
      {openDrawer && (
        <button
          type="button"
          class="round menu"
          aria-label={
            others > 0 ? `Open the rooms: ${others} unread` : "Open the rooms"
          }
          onClick={openDrawer}
        >
          <MenuIcon />
          {others > 0 && <span class="spot" />}
        </button>
      )}
      <h1 class="title">
        {room && (
          <>
            <span class="hash" aria-hidden="true">
              #
            </span>
            <bdi>{room.name}</bdi>
          </>
        )}
      </h1>
      {room && (
        <>
          <CopyLink key={room.name} chat={chat} room={room.name} />
          <button
            type="button"
            class={people ? "counter pressed" : "counter"}
            aria-pressed={people}
            aria-label={`Who is here: ${room.count}`}
            title="Who is here"
            onClick={togglePeople}
          >
            <PeopleIcon />
            <span>{room.count}</span>
          </button>
        </>
      )}
    </header>
  );
}

function CopyLink({ chat, room }: { chat: Chat; room: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    const address = new URL(addressOfRoom(room), location.href).href;
    try {
      // Only there on https and localhost.
      await navigator.clipboard.writeText(address);
      setCopied(true);
    } catch {
      chat.notify(`The address of this room: ${address}`);
    }
  };
  return (
    <button
      type="button"
      class="counter"
      title="Copy a link to this room"
      aria-label="Copy a link to this room"
      onClick={() => void copy()}
    >
      <LinkIcon />
      <span class="copied" role="status">
        {copied ? "Copied" : ""}
      </span>
    </button>
  );
}
