/**
 * The wire contract's messages: schemas of what clients send, types of what the server sends.
 * README.md in this folder describes them with examples.
 */
import Type from "typebox";
import type { ErrorCode } from "./errors.ts";

export const PROTOCOL_VERSION = 1;

/** 0 in an empty room; the first event has 1. */
const Seq = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Ref = Type.Optional(Type.Integer({ minimum: 0, maximum: 4294967295 }));
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Limit = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** What a client sends, by action. Unknown keys are ignored. */
export const CLIENT_MESSAGES = {
  join_room: Type.Object({
    action: Type.Literal("join_room"),
    ref: Ref,
    room: Type.String(),
    since: Type.Optional(Type.Object({ epoch: Type.String(), seq: Seq })),
    history: Type.Optional(Count),
    echo: Type.Optional(Type.Boolean()),
  }),
  leave_room: Type.Object({
    action: Type.Literal("leave_room"),
    ref: Ref,
    room: Type.String(),
  }),
  send_message: Type.Object({
    action: Type.Literal("send_message"),
    ref: Ref,
    room: Type.String(),
    text: Type.String(),
    id: Type.Optional(Type.String()),
    data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
  get_history: Type.Object({
    action: Type.Literal("get_history"),
    ref: Ref,
    room: Type.String(),
    before: Type.Optional(Seq),
    after: Type.Optional(Seq),
    limit: Type.Optional(Limit),
  }),
  get_members: Type.Object({
    action: Type.Literal("get_members"),
    ref: Ref,
    room: Type.String(),
  }),
  typing: Type.Object({
    action: Type.Literal("typing"),
    ref: Ref,
    room: Type.String(),
    active: Type.Boolean(),
  }),
  authenticate: Type.Object({
    action: Type.Literal("authenticate"),
    ref: Ref,
    token: Type.String(),
  }),
  ping: Type.Object({ action: Type.Literal("ping"), ref: Ref }),
};

export type ClientAction = keyof typeof CLIENT_MESSAGES;
export type ClientMessage<A extends ClientAction = ClientAction> = Type.Static<
  (typeof CLIENT_MESSAGES)[A]
>;

/** A position in a room: it means nothing under another epoch. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export interface User {
  readonly id: string;
  readonly name: string;
}

/** What JSON can hold. */
export type Data = { readonly [key: string]: unknown };

export interface ReceiveMessage {
  readonly action: "receive_message";
  readonly room: string;
  readonly seq: number;
  /** Left out when it is `seq - 1`. */
  readonly prev?: number | undefined;
  /** Display name of the sender. */
  readonly from: string;
  /** User id of the sender. */
  readonly user: string;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly ts: number;
  readonly id?: string | undefined;
  readonly data?: Data | undefined;
}

/** Tells that a message was deleted. In a reply it may stand in that message's place: then `target` is its own `seq`. */
export interface MessageDeleted {
  readonly action: "message_deleted";
  readonly room: string;
  readonly seq: number;
  /** Left out when it is `seq - 1`. */
  readonly prev?: number | undefined;
  /** Seq of the message. */
  readonly target: number;
  /** Milliseconds since 1970: of the deletion, or, in the message's place, of the message. */
  readonly ts: number;
}

/** An entry of a room's log. */
export type LogEntry = ReceiveMessage | MessageDeleted;

export interface Limits {
  readonly max_frame_bytes: number;
  readonly max_text_bytes: number;
  readonly max_data_bytes: number;
  readonly max_rooms_per_connection: number;
  readonly max_messages_per_second: number;
  readonly max_history_per_reply: number;
}

export interface Welcome {
  readonly action: "welcome";
  readonly version: typeof PROTOCOL_VERSION;
  readonly connection: string;
  readonly user: User;
  readonly session?: string;
  /** Users online. */
  readonly users: number;
  readonly ping_interval_ms: number;
  /** A limit of 0 is none. */
  readonly limits: Limits;
}

interface Reply {
  readonly ref?: number | undefined;
}

/** A reply that ends with events. The codec appends them already encoded, as `messages`. */
export interface RoomJoined extends Reply {
  readonly action: "room_joined";
  readonly room: string;
  readonly epoch: string;
  readonly seq: number;
  readonly recovered: boolean;
  readonly more: boolean;
  readonly count: number;
}

export interface History extends Reply {
  readonly action: "history";
  readonly room: string;
  readonly epoch: string;
  readonly more: boolean;
}

export interface RoomLeft extends Reply {
  readonly action: "room_left";
  readonly room: string;
  /** Why, as of an error, where nobody asked to leave. */
  readonly code?: ErrorCode;
  readonly message?: string;
}

export interface MessageSent extends Reply {
  readonly action: "message_sent";
  readonly room: string;
  readonly id?: string | undefined;
  readonly seq: number;
  readonly epoch: string;
  readonly ts: number;
  readonly duplicate?: true;
}

export interface Members extends Reply {
  readonly action: "members";
  readonly room: string;
  readonly count: number;
  readonly members: readonly User[];
}

export interface Typing {
  readonly action: "typing";
  readonly room: string;
  /** User id, and display name, of who types. */
  readonly user: string;
  readonly from: string;
  readonly active: boolean;
}

export interface MembersChanged {
  readonly action: "members_changed";
  readonly room: string;
  /** Left out in large rooms. */
  readonly joined?: readonly User[];
  readonly left?: readonly User[];
  readonly count: number;
}

export interface ErrorMessage extends Reply {
  readonly action: "error";
  readonly code: string;
  readonly message: string;
  readonly retry_after_ms?: number | undefined;
}

export interface Pong extends Reply {
  readonly action: "pong";
}

export interface Reconnect {
  readonly action: "reconnect";
  readonly after_ms: number;
}

/** The answer to `authenticate`. */
export interface Authenticated extends Reply {
  readonly action: "authenticated";
  readonly user: User;
  /** Until the token expires. */
  readonly expires_in_ms: number;
}

/** A connection without a token, where one is needed: `authenticate` must be its first request. */
export interface AuthenticateFirst {
  readonly action: "authenticate_first";
  readonly within_ms: number;
}

/** The token is about to expire: `authenticate` with a new one. */
export interface TokenExpires {
  readonly action: "token_expires";
  readonly after_ms: number;
}

/** Replies to which the codec appends `messages`. */
export type ReplyWithMessages = RoomJoined | History;

export type ServerMessage =
  | LogEntry
  | Welcome
  | RoomLeft
  | MessageSent
  | Members
  | Typing
  | MembersChanged
  | ErrorMessage
  | Pong
  | Reconnect
  | Authenticated
  | AuthenticateFirst
  | TokenExpires;
