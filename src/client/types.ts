import type {
  Data,
  LogEntry,
  MessageDeleted,
  Position,
  ReceiveMessage,
  User,
  Welcome,
} from "../protocol/messages.ts";
import type { RoomcastError } from "./errors.ts";

export type {
  Data,
  Limits,
  LogEntry,
  MessageDeleted,
  Position,
  ReceiveMessage,
  User,
  Welcome,
} from "../protocol/messages.ts";

/**
 * - `connecting`: the first attempt is under way
 * - `open`: the server has said welcome
 * - `reconnecting`: an attempt failed or the connection was lost; it comes back by itself
 * - `closed`: for good, by `close()` or because coming back cannot help
 */
export type ConnectionState = "connecting" | "open" | "reconnecting" | "closed";

export type ClientFormat = "json" | "msgpack";

/** What the client needs of a WebSocket: browsers, Bun, Deno, Node from 22 on and the package `ws` have it. */
export interface WebSocketLike {
  binaryType: any;
  onopen: any;
  onmessage: any;
  onclose: any;
  onerror: any;
  send(data: any): void;
  close(code?: number, reason?: string): void;
  /** Where there is one, it ends a connection whose other side is silent. */
  terminate?(): void;
}

export type WebSocketConstructor = new (
  url: string,
  protocols: string[],
) => WebSocketLike;

export interface ClientOptions {
  /** A guest's display name. Without it the server gives one. */
  readonly name?: string | undefined;
  /** Default `json`. With `msgpack`, `@msgpack/msgpack` is loaded when it is first needed. */
  readonly format?: ClientFormat | undefined;
  /** Asked at every connect, so that it may expire; sent as `?token=`. If it throws, the attempt failed for that reason. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** `client.session` of an earlier time: the same guest again. It beats `name`. */
  readonly session?: string | undefined;
  /** For runtimes without a global one: Node 20, with `import WebSocket from "ws"`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** From the start of an attempt, the token included, to the server's welcome. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long a send may wait for its ack, from `send()` on. Default 60,000. Keep it below the server's 10 minutes of idempotency. */
  readonly sendTimeoutMs?: number | undefined;
  /** How long `join()`, `history()`, `members()` and `ping()` may take, times without a connection included. Default 60,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How long a ping may stay without any frame from the server before the connection counts as lost. Default 10,000. */
  readonly pingTimeoutMs?: number | undefined;
  /** Silence after which the server is pinged. Default: what its welcome says, 15,000. */
  readonly pingIntervalMs?: number | undefined;
  /** Sends that wait or are under way, in all rooms. Default 1,000. */
  readonly maxQueuedSends?: number | undefined;
  /** Delays before attempts are random below a bound that doubles from `minBackoffMs` (500) to `maxBackoffMs` (20,000). */
  readonly minBackoffMs?: number | undefined;
  readonly maxBackoffMs?: number | undefined;
}

export interface StateChange {
  readonly state: ConnectionState;
  /** Why it is not open, for people. */
  readonly reason?: string | undefined;
  /** The close code, where a connection ended. 1006: lost, refused or silent. */
  readonly code?: number | undefined;
  /** With `reconnecting`: ms until the next attempt; without it, the attempt is under way. */
  readonly retryInMs?: number | undefined;
}

export interface ClientEvents {
  state: StateChange;
  /** At every connect. */
  welcome: Welcome;
  /** A ping was answered: ms there and back. */
  roundtrip: number;
  /** What the server refused, and no call asked for. */
  error: RoomcastError;
}

export interface JoinOptions {
  /** The latest n messages at first, and where the server could not recover. Default 0. */
  readonly history?: number | undefined;
  /** `room.position` of an earlier time: what came after it is delivered first. */
  readonly since?: Position | undefined;
  /** Default true: also receive what this client sends, in its place among the others' messages. */
  readonly echo?: boolean | undefined;
}

export interface SendOptions {
  /** The idempotency key, 1 to 64 characters. Give one to send again what may have been stored. Default: a new one. */
  readonly id?: string | undefined;
  /** What JSON can hold; it travels with the message. */
  readonly data?: Data | undefined;
}

/** The message is stored, at this place. */
export interface Ack {
  readonly seq: number;
  readonly epoch: string;
  /** Milliseconds since 1970. */
  readonly ts: number;
  readonly id: string;
  /**
   * It had been stored before: an earlier try got through. With `echo: false`, a message whose ack is a duplicate comes
   * as a message too, among what was missed; one whose ack is none does not.
   */
  readonly duplicate?: true | undefined;
}

/** An entry of a room's log, of whatever action: later versions of the server add some. */
export interface EventFrame {
  readonly action: string;
  readonly room: string;
  readonly seq: number;
  /** Left out when it is `seq - 1`. */
  readonly prev?: number | undefined;
  readonly [key: string]: unknown;
}

export interface Joined {
  /** What was missed follows: nothing is lost. False at the first join without `since`. */
  readonly recovered: boolean;
  /** Users in the room. */
  readonly count: number;
  /** Whether it is the room's first join. */
  readonly first: boolean;
}

/** The server could not recover: what came between is unknown. Throw away what you show, and start from these. */
export interface Reset {
  /**
   * The latest entries, as many as `history` of the join asked for; they come in no other way. Those whose `action` is
   * `message_deleted` are no messages.
   */
  readonly messages: readonly LogEntry[];
  readonly position: Position;
  readonly count: number;
}

export interface MembersChange {
  readonly count: number;
  /** Users who came and went; left out in large rooms, where only `count` is told. */
  readonly joined?: readonly User[] | undefined;
  readonly left?: readonly User[] | undefined;
  /** Those known to be here: the last `members()` with the changes since; undefined before it and in large rooms. */
  readonly users?: readonly User[] | undefined;
}

export interface TypingNote {
  /** The user's id, and display name. */
  readonly user: string;
  readonly from: string;
  readonly active: boolean;
}

export interface RoomEvents {
  /** Each message once, in order: missed ones too. */
  message: ReceiveMessage;
  /**
   * A message was deleted: throw `target` away. Also in its place, among what was missed: then `target` is its own `seq`, and
   * the message was never delivered.
   */
  deleted: MessageDeleted;
  /** Each entry of the log once, in order: messages, deletions, and actions this version does not know. */
  event: EventFrame;
  members: MembersChange;
  typing: TypingNote;
  /** After every join, before what was missed. */
  joined: Joined;
  reset: Reset;
  /** For good: by `leave()`, by a refused rejoin, or with the client. With a reason where it was not `leave()`. */
  left: RoomcastError | undefined;
}

/** What a room's async iterator gives. */
export type RoomEvent =
  | { readonly type: "message"; readonly message: ReceiveMessage }
  /** An entry whose action this version does not know. */
  | { readonly type: "event"; readonly event: EventFrame }
  | { readonly type: "reset"; readonly reset: Reset };

export interface HistoryOptions {
  /** Messages with a smaller seq, the latest of them. */
  readonly before?: number | undefined;
  /** Messages with a larger seq, the oldest of them. Without both: the latest. */
  readonly after?: number | undefined;
  /** At most what the server's `limits.max_history_per_reply` says. */
  readonly limit?: number | undefined;
}

export interface HistoryPage {
  /** Always ascending. Those whose `action` is `message_deleted` are no messages. */
  readonly messages: readonly LogEntry[];
  /** There is more in the direction asked for. */
  readonly more: boolean;
}

export interface MemberList {
  /** All users in the room. */
  readonly count: number;
  /** At most 200 of them. */
  readonly members: readonly User[];
}
