/**
 * Every error code and every close code of the wire contract, each in one table.
 * A client reads the same tables: nothing here may import anything.
 */

/** Codes of `error` frames, and what each means. The bodies of refused upgrades use them too. */
export const ERROR_CODES = {
  bad_frame: "the frame is not an object of this connection's format",
  unknown_action: "there is no such action",
  invalid_field: "a field is missing, or has a wrong type or value",
  unauthorized: "there is no token, or it is not valid",
  forbidden: "the token does not allow it, or guests may not do it",
  not_joined: "the connection is not in that room",
  too_large: "text or data is above its limit",
  too_many_rooms: "the connection is in as many rooms as it may be",
  rate_limited:
    "too many frames in too little time; not stored; try again after retry_after_ms",
  overloaded:
    "the room or the server receives more than it can carry; not stored; try again after retry_after_ms",
  unavailable: "the store did not take it; not stored; try again later",
  outcome_unknown:
    "the store did not answer in time; send again with the same id",
  refused: "the application behind the server does not want this message",
  banned: "the user may not be here, or not in this room",
  muted: "the user may not send; not stored",
  removed: "the application took the user out of the room",
  too_many_connections:
    "the server, or this address, has as many connections as it may have",
  draining: "the server is shutting down; connect again later",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Limits that refuse something, by which refusals are counted: options by their keys in a configuration file. */
export const LIMITS = [
  "max_frame_bytes",
  "max_text_bytes",
  "max_data_bytes",
  "max_rooms_per_connection",
  "max_connections",
  "max_connections_per_address",
  "max_messages_per_second",
  "max_messages_per_second_per_user",
  "max_requests_per_second",
  "max_bytes_per_second",
  "max_handshakes_per_second",
] as const;

export type Limit = (typeof LIMITS)[number];

/** What a client should do after a close. */
export interface CloseRule {
  readonly meaning: string;
  /** Whether coming back can help. A client that resumes then misses nothing. */
  readonly reconnect: boolean;
}

/** Close codes, and whether to reconnect. A code that is not here: reconnect. */
export const CLOSE_CODES = {
  1000: { meaning: "the client closed", reconnect: false },
  1001: { meaning: "the server went away", reconnect: true },
  1003: { meaning: "a frame of the wrong kind", reconnect: false },
  1006: { meaning: "the connection was lost, or too slow", reconnect: true },
  1007: { meaning: "a frame was not UTF-8", reconnect: false },
  1009: { meaning: "a frame was above max_frame_bytes", reconnect: false },
  1011: { meaning: "the server failed", reconnect: true },
  1012: { meaning: "the server restarts", reconnect: true },
  4000: { meaning: "too many bad frames", reconnect: false },
  4001: { meaning: "too many rate-limited frames", reconnect: false },
  4010: { meaning: "no valid token in time", reconnect: false },
  4011: { meaning: "the token expired", reconnect: true },
  4020: { meaning: "the application sent the user away", reconnect: false },
  4021: { meaning: "the user is banned", reconnect: false },
} as const satisfies Record<number, CloseRule>;

/** Those after which coming back cannot help, once more: browsers load this, and not the table with its texts. */
export const FINAL_CLOSE_CODES: readonly number[] = [
  1000, 1003, 1007, 1009, 4000, 4001, 4010, 4020, 4021,
];

export type CloseCode = keyof typeof CLOSE_CODES;

/** An expected failure of one request: it becomes an `error` frame. */
export class ProtocolError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    /** Milliseconds after which trying again can help. */
    readonly retryAfterMs?: number,
    /** The limit that was met, where it is one of them. */
    readonly limit?: Limit,
  ) {
    super(message);
  }
}
