import type { Chat } from "../state/chat.ts";
import { sentence } from "../state/explain.ts";
import { WarningIcon } from "./icons.tsx";

/** Says when there is no connection. It waits a moment before it shows (style): most losses are over by then. */
export function Banner({ chat }: { chat: Chat }) {
  const { state, wasOpen, reason, retryAt } = chat.connection;
  const closed = state === "closed";
  const lost = closed || state === "reconnecting";
  const seconds =
    retryAt === undefined
      ? 0
      : Math.max(0, Math.ceil((retryAt - Date.now()) / 1_000));
  return (
    <div class="banner-place" role="status">
      {lost && (
        <div class={closed ? "banner at-once" : "banner"}>
          <WarningIcon />
          <span class="banner-text">
            {closed
              ? `Disconnected. ${reason ? sentence(reason) : ""}`
              : wasOpen
                ? "Connection lost. What you write is sent when it is back."
                : `The server at ${location.host} cannot be reached.`}
            {!closed && (
              // Would be read aloud every second.
              <span aria-hidden="true" class="quiet">
                {seconds > 0 ? ` Trying in ${seconds} s` : " Trying…"}
              </span>
            )}
          </span>
          <button
            type="button"
            class="small"
            onClick={() => (closed ? chat.restart() : chat.retryNow())}
          >
            {closed ? "Connect again" : "Try now"}
          </button>
        </div>
      )}
    </div>
  );
}
