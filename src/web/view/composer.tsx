import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import type { RoomState } from "../state/room.ts";
import { bytesOf, bytesOver } from "../text/limits.ts";
import { SendIcon } from "./icons.tsx";

interface Props {
  readonly chat: Chat;
  readonly room: RoomState;
  readonly field: RefObject<HTMLTextAreaElement | null>;
  /** Set before it is drawn: it takes the focus, once. */
  readonly wantsFocus: RefObject<boolean>;
}

const IDLE_MS = 4_000;
/** The rest is told from here on. */
const NEARLY_FULL = 0.85;

/** Where one writes. */
export function Composer({ chat, room, field, wantsFocus }: Props) {
  const [text, setText] = useState(room.draft);
  const limit = chat.limits?.max_text_bytes ?? 0;
  const over = bytesOver(text, limit);
  const blank = text.trim() === "";
  const typing = useTyping(chat, room);

  useLayoutEffect(() => {
    const area = field.current!;
    // The browser's own way where it has one (style: field-sizing).
    if (CSS.supports("field-sizing", "content")) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [text]);

  useLayoutEffect(() => {
    if (wantsFocus.current) field.current!.focus();
    wantsFocus.current = false;
  }, []);

  const change = (next: string): void => {
    setText(next);
    room.draft = next;
    typing(next.trim() !== "");
  };
  const send = (): void => {
    if (blank || over > 0) return;
    if (chat.send(room, text.trim().toWellFormed())) change("");
    field.current?.focus();
  };
  return (
    <form
      class={over > 0 ? "composer over" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        class="write"
        rows={1}
        dir="auto"
        enterkeyhint="send"
        placeholder={`Message #${room.name}`}
        aria-label={`Message to ${room.name}`}
        aria-invalid={over > 0}
        aria-describedby="text-problem"
        value={text}
        onInput={(event) => change(event.currentTarget.value)}
        onKeyDown={(event) => {
          // While a word is being composed, Enter chooses it.
          if (event.key !== "Enter" || event.shiftKey || event.isComposing)
            return;
          event.preventDefault();
          send();
        }}
      />
      <button
        type="submit"
        class="send"
        aria-label="Send"
        disabled={blank || over > 0}
      >
        <SendIcon />
      </button>
      <p id="text-problem" class="problem" role="status">
        {over > 0
          ? `Too long for this server by ${over} ${over === 1 ? "byte" : "bytes"}.`
          : bytesLeft(text, limit)}
      </p>
    </form>
  );
}

function bytesLeft(text: string, limit: number): string {
  if (limit === 0 || text.length * 3 < limit * NEARLY_FULL) return "";
  const bytes = bytesOf(text);
  return bytes < limit * NEARLY_FULL ? "" : `${limit - bytes} bytes left.`;
}

/** Tells the others, and that it is over after a while of nothing. */
function useTyping(chat: Chat, room: RoomState): (active: boolean) => void {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const told = useRef(false);
  const tell = (active: boolean): void => {
    clearTimeout(timer.current);
    if (active) timer.current = setTimeout(() => tell(false), IDLE_MS);
    if (active || told.current) chat.typing(room, active);
    told.current = active;
  };
  useEffect(() => () => tell(false), []);
  return tell;
}
