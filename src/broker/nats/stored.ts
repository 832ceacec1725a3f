import type { Msg } from "@nats-io/transport-node";
import type { Data } from "../../protocol/messages.ts";
import type { Draft, RoomEvent } from "../broker.ts";

/**
 * A message of a stream, as it is stored: JSON, so that `nats` commands and other programs can read it. Only the body is
 * ours; position and time are the stream's, in headers.
 */
interface Body {
  /** Gateway and number of the publish: by it a gateway knows its own again. */
  readonly tag: string;
  readonly user: string;
  readonly from: string;
  readonly text: string;
  readonly id?: string;
  /** Length of `data` as JSON. */
  readonly bytes?: number;
  readonly data?: Data;
}

/** The event that tells of a deletion; made for a reader, what stands in the deleted message's place. */
interface DeletionBody {
  readonly tag: string;
  /** Seq of the deleted message. */
  readonly target: number;
}

/** A body without `data`, which is JSON already. */
type Unfinished = {
  readonly [K in keyof Omit<Body, "bytes" | "data">]: Body[K] | undefined;
};

/** A message that came from a stream: live, or by a read. */
export interface Stored {
  readonly seq: number;
  /** Live: seq of the room's message before it, 0 where the stream holds none. In a read: of the one read before it. */
  readonly prev: number;
  /** Ms since 1970. */
  readonly ts: number;
  readonly body: string;
  /** Length of `body` in UTF-8. */
  readonly bytes: number;
}

/** The tag comes first: see `tagNumber`. */
export function encodeBody(draft: Draft, tag: string): string {
  const { user, from, text, id, dataJson } = draft;
  const body = { tag, user, from, text, id };
  const json = JSON.stringify(body satisfies Unfinished);
  return dataJson === undefined
    ? json
    : `${json.slice(0, -1)},"bytes":${dataJson.length},"data":${dataJson}}`;
}

/** What `encodeBody` writes for tags of a gateway begins with this. */
export const bodyPrefix = (gateway: string): string => `{"tag":"${gateway}.`;

/** The number in a body's tag, where the body begins with the prefix of its gateway; else 0. */
export const tagNumber = (body: string, prefix: string): number =>
  body.startsWith(prefix)
    ? // Up to the quote.
      Number.parseInt(body.slice(prefix.length, prefix.length + 16), 10) || 0
    : 0;

/** An event as it was published here: what `decode` would find, without a look into the body. */
export function eventOf(
  draft: Draft,
  { seq, ts }: Stored,
  prev: number,
): RoomEvent {
  const { room, user, from, text, id, data, dataJson } = draft;
  return {
    room,
    seq,
    prev,
    user,
    from,
    text,
    ts,
    id,
    data,
    dataBytes: dataJson?.length ?? 0,
    target: 0,
  };
}

export function encodeDeletion(target: number, tag: string): string {
  const body: DeletionBody = { tag, target };
  return JSON.stringify(body);
}

/** An event, and the tag it was published with. */
export interface Decoded {
  readonly tag: string;
  readonly event: RoomEvent;
}

/** @returns undefined where somebody else, or a later version, stored what this one does not know */
export function decode(
  room: string,
  { seq, ts, body }: Stored,
  prev: number,
): Decoded | undefined {
  let parsed: Partial<Body & DeletionBody> | null;
  try {
    parsed = JSON.parse(body) as typeof parsed;
  } catch {
    return undefined;
  }
  if (typeof parsed?.tag !== "string") return undefined;
  const { target } = parsed;
  if (target !== undefined)
    return isTarget(target, seq)
      ? {
          tag: parsed.tag,
          event: { room, seq, prev, ts, target, ...NO_CONTENT },
        }
      : undefined;
  if (
    typeof parsed.user !== "string" ||
    typeof parsed.from !== "string" ||
    typeof parsed.text !== "string"
  )
    return undefined;
  const { tag, user, from, text, id, data, bytes } = parsed;
  const event: RoomEvent = {
    room,
    seq,
    prev,
    user,
    from,
    text,
    ts,
    id,
    data,
    dataBytes: bytes ?? 0,
    target: 0,
  };
  return { tag, event };
}

const NO_CONTENT = {
  user: "",
  from: "",
  text: "",
  id: undefined,
  data: undefined,
  dataBytes: 0,
} as const;

const isTarget = (target: unknown, seq: number): boolean =>
  Number.isSafeInteger(target) &&
  (target as number) > 0 &&
  (target as number) <= seq;

/** @returns undefined where the stream's headers are missing: not a message of a stream */
export function toStored(
  msg: Msg,
  headers = headersOf(msg),
): Stored | undefined {
  const seq = numberIn(headers, "Nats-Sequence");
  if (!(seq > 0)) return undefined;
  return {
    seq,
    prev: numberIn(headers, "Nats-Last-Sequence"),
    ts: Date.parse(valueIn(headers, "Nats-Time-Stamp")),
    body: msg.string(),
    bytes: msg.data.length,
  };
}

/** Where this version of the client keeps a message's bytes. */
interface RawMsg {
  readonly _rdata?: unknown;
  readonly _msg?: { readonly hdr?: number };
}

/**
 * The headers of a message, as they came. The client's own class checks and copies each of them: 4.3 µs a message, of the
 * 18 that it needs for all the rest; looking for three of them in the bytes takes 0.5.
 */
export function headersOf(msg: Msg): string {
  const { _rdata: bytes, _msg } = msg as unknown as RawMsg;
  const length = _msg?.hdr ?? 0;
  if (bytes instanceof Uint8Array && length > 0)
    return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString(
      "latin1",
    );
  const { headers } = msg;
  if (!headers) return "";
  const lines = [...headers].flatMap(([name, values]) =>
    values.map((value) => `${name}: ${value}\r\n`),
  );
  return `NATS/1.0 ${headers.status}\r\n${lines.join("")}`;
}

/** "" where it is missing. The last of a name: the stream adds its own to what a publisher wrote. */
export function valueIn(headers: string, name: string): string {
  const at = headers.lastIndexOf(`\r\n${name}: `);
  if (at < 0) return "";
  const start = at + name.length + 4;
  return headers.slice(start, headers.indexOf("\r\n", start));
}

export const numberIn = (headers: string, name: string): number =>
  Number(valueIn(headers, name));

/** 0 where there is none: a message with a body has none. */
export const statusIn = (headers: string): number =>
  headers.startsWith("NATS/1.0 ") ? Number.parseInt(headers.slice(9), 10) : 0;

/**
 * What NATS knows an idempotency key by. NATS compares it over a whole stream, and clients choose ids: so a hash that
 * nobody can make collide, of room, user and id. The lengths keep the three apart.
 */
export function messageId(
  { room, user }: Pick<Draft, "room" | "user">,
  id: string,
): string {
  const key = `${room.length}:${room}${user.length}:${user}${id}`;
  return hashed(key);
}

/** The same for the event of a deletion: no user can bring it about. */
export const deletionId = (room: string, target: number): string =>
  hashed(`${room.length}:${room}deleted ${target}`);

/** 22 characters hold 132 bits. */
const hashed = (key: string): string =>
  Bun.SHA256.hash(key, "base64url").slice(0, 22);
