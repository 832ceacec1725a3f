import type { Chat } from "../state/chat.ts";
import { CloseIcon } from "./icons.tsx";

/** What went wrong, until it is closed. */
export function Notices({ chat }: { chat: Chat }) {
  return (
    <div class="notices" role="alert">
      {chat.notices.map(({ id, text }) => (
        <div key={id} class="notice">
          <span class="notice-text" dir="auto">
            {text}
          </span>
          <button
            type="button"
            class="round"
            aria-label="Close this note"
            onClick={() => chat.dismiss(id)}
          >
            <CloseIcon />
          </button>
        </div>
      ))}
    </div>
  );
}
