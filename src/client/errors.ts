import type { ErrorCode } from "../protocol/errors.ts";

/**
 * Codes of the client's own failures, beside those of the server:
 * - `closed`: the client was closed, by `close()` or by a close code after which coming back cannot help
 * - `left`: the room was left
 * - `timeout`: no answer in time
 * - `queue_full`: too many sends or requests wait
 * - `fell_behind`: an iterator's consumer is too slow; later events are not in it
 * - `no_websocket`: this runtime has no `WebSocket`, and none was given
 */
export type ClientErrorCode =
  | ErrorCode
  | "closed"
  | "left"
  | "timeout"
  | "queue_full"
  | "fell_behind"
  | "no_websocket";

/** Every failure that the client tells. */
export class RoomcastError extends Error {
  // Declared, so that no field is written down twice: a browser loads each.
  declare readonly code: ClientErrorCode;
  /**
   * For a send: whether the server may have stored it all the same. If so, sending it again with the same `id` is safe for
   * 10 minutes, and for the same user.
   */
  declare readonly maybeStored: boolean;
  /** Milliseconds after which trying again can help, where the server said so. */
  declare readonly retryAfterMs: number;

  constructor(
    code: ClientErrorCode,
    message: string,
    maybeStored = false,
    retryAfterMs = 0,
  ) {
    super(message);
    Object.assign(this, {
      code,
      maybeStored,
      retryAfterMs,
      name: "RoomcastError",
    });
  }
}

/** Whether trying again can help. Nothing was stored, but for `outcome_unknown`. */
export function refusedForNow(answer: unknown): answer is RoomcastError {
  return (
    answer instanceof RoomcastError &&
    /^(rate_limited|overloaded|unavailable|outcome_unknown)$/.test(answer.code)
  );
}
