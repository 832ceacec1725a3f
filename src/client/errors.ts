import type { ErrorCode } from "../protocol/errors.ts";

/**
 * Codes of the client's own failures, beside those of the server:
 * - `closed`: the client was closed, by `close()` or by a close code after which coming back cannot help
 * - `left`: the room was left
 * - `timeout`: no answer in time
 * - `queue_full`: too many sends or requests wait
 * - `fell_behind`: an iterator's consumer is too slow; it lost events from here on
 * - `no_websocket`: this runtime has no `WebSocket`, and none was given
 * - `token`: the token callback failed
 * - `connection`: a frame or the connection was not usable
 */
export type ClientErrorCode =
  | ErrorCode
  | "closed"
  | "left"
  | "timeout"
  | "queue_full"
  | "fell_behind"
  | "no_websocket"
  | "token"
  | "connection";

/** Every failure that the client tells. */
export class RoomcastError extends Error {
  override readonly name = "RoomcastError";

  constructor(
    readonly code: ClientErrorCode,
    message: string,
    /**
     * For a send: whether the server may have stored it all the same. If so, sending it again with the same `id` is safe
     * for 10 minutes, and for the same user.
     */
    readonly maybeStored = false,
  ) {
    super(message);
  }
}
