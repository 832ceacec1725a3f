import type { RoomState } from "../state/room.ts";
import { typingNote } from "../text/people.ts";

/** Always there, so that the messages do not jump. Not read aloud: it would never stop. */
export function TypingLine({ room }: { room: RoomState }) {
  const names = [...room.typists.values()].map(({ name }) => name);
  return (
    <div class="typing" aria-hidden={names.length === 0}>
      {names.length > 0 && (
        <>
          <span class="typing-dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          <span class="typing-text">{typingNote(names)}</span>
        </>
      )}
    </div>
  );
}
