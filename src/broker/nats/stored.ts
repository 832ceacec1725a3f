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

/** A message that came from a stream: live, or by a read. */
export interface Stored {
  readonly seq: number;
  /** Live: seq of the room's message before it, 0 where the stream holds none. In a read: of the one read before it. */
  readonly prev: number;
  /** Ms since 1970. */
  readonly ts: number;
  readonly body: Uint8Array;
}

export function encodeBody(draft: Draft, tag: string): Uint8Array {
  const { user, from, text, id, dataJson } = draft;
  const body: Body = {
    tag,
    user,
    from,
    text,
    ...(id === undefined ? {} : { id }),
  };
  let json = JSON.stringify(body);
  if (dataJson !== undefined)
    json = `${json.slice(0, -1)},"bytes":${dataJson.length},"data":${dataJson}}`;
  return Buffer.from(json);
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
  let parsed: Partial<Body> | null;
  try {
    parsed = JSON.parse(Buffer.from(body).toString()) as Partial<Body> | null;
  } catch {
    return undefined;
  }
  if (
    typeof parsed?.tag !== "string" ||
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
  };
  return { tag, event };
}

/** @returns undefined where the stream's headers are missing: not a message of a stream */
export function toStored(msg: Msg): Stored | undefined {
  const { headers } = msg;
  if (!headers) return undefined;
  const seq = Number(headers.get("Nats-Sequence"));
  if (!(seq > 0)) return undefined;
  return {
    seq,
    prev: Number(headers.get("Nats-Last-Sequence")),
    ts: Date.parse(headers.get("Nats-Time-Stamp")),
    body: msg.data,
  };
}

/**
 * What NATS knows an idempotency key by. NATS compares it over a whole stream, and clients choose ids: so a hash that
 * nobody can make collide, of room, user and id. The lengths keep the three apart.
 */
export function messageId({ room, user }: Draft, id: string): string {
  const key = `${room.length}:${room}${user.length}:${user}${id}`;
  return new Bun.CryptoHasher("sha256")
    .update(key)
    .digest()
    .subarray(0, 16)
    .toString("base64url");
}
