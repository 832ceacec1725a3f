import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import type { RoomState } from "../state/room.ts";
import { Avatar } from "./avatar.tsx";
import { CloseIcon } from "./icons.tsx";

interface Props {
  readonly chat: Chat;
  readonly room: RoomState;
  /** Where it covers the page. */
  readonly close: (() => void) | undefined;
}

const MAX_SHOWN = 200;

/** Who is here. */
export function Members({ chat, room, close }: Props) {
  const { members, count } = room;
  const me = chat.user?.id;
  const closeButton = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => closeButton.current?.focus(), []);
  const sorted = useMemo(
    () =>
      [...(members ?? [])]
        .sort(
          (a, b) =>
            Number(b.id === me) - Number(a.id === me) ||
            a.name.localeCompare(b.name),
        )
        .slice(0, MAX_SHOWN),
    [members, me],
  );
  const more = count - sorted.length;
  return (
    <aside class="people" aria-label="Who is here">
      <div class="people-head">
        <h2 class="side-title">
          Here now <span class="quiet">{count}</span>
        </h2>
        {close && (
          <button
            ref={closeButton}
            type="button"
            class="round"
            aria-label="Close the list of people"
            onClick={close}
          >
            <CloseIcon />
          </button>
        )}
      </div>
      <ul class="people-list" tabindex={0} aria-label="People">
        {sorted.map(({ id, name }) => (
          <li key={id} class="person">
            <Avatar user={id} name={name} />
            <bdi class="person-name">{name}</bdi>
            {id === me && <span class="quiet"> you</span>}
          </li>
        ))}
      </ul>
      {members && more > 0 && <p class="quiet more">and {more} more</p>}
      {members && count <= 1 && (
        <p class="quiet more">
          Nobody else is here yet. The link at the top brings others in.
        </p>
      )}
    </aside>
  );
}
