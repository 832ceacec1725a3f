import type { Chat } from "../state/chat.ts";
import type { RoomState } from "../state/room.ts";

export function NoRoom() {
  return (
    <div class="empty">
      <p class="empty-title">You are in no room</p>
      <p class="quiet">
        Join one in the list of rooms, or start one by giving it a name.
      </p>
    </div>
  );
}

export function RoomProblem({ chat, room }: { chat: Chat; room: RoomState }) {
  return (
    <div class="empty" role="alert">
      <p class="empty-title">
        You could not join <bdi>{room.name}</bdi>
      </p>
      <p class="quiet">{room.problem}</p>
      <button
        type="button"
        class="primary"
        onClick={() => chat.openRoom(room.name)}
      >
        Try again
      </button>
    </div>
  );
}

/** Above the first message there ever was. */
export function StartOfRoom({ room }: { room: RoomState }) {
  const nothing = room.timeline.count === 0 && room.outgoing.length === 0;
  return (
    <div class={nothing ? "start alone" : "start"}>
      <span class="start-sign" aria-hidden="true">
        #
      </span>
      <p class="empty-title">
        {nothing ? "Nobody has said anything yet" : "This is where it starts"}
      </p>
      <p class="quiet">
        {nothing ? (
          <>
            Write the first message in <bdi class="strong">{room.name}</bdi>, or
            give its link to somebody.
          </>
        ) : (
          <>
            The first message in <bdi class="strong">{room.name}</bdi>.
          </>
        )}
      </p>
    </div>
  );
}
