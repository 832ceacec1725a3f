import type { RoomEvent } from "../broker/broker.ts";
import type { Codec, Frame } from "../protocol/codec.ts";
import { unpack } from "../protocol/msgpack.ts";
import type {
  LogEntry,
  MembersChanged,
  MessageDeleted,
  Typing,
} from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";

/** Who sent an event from this process: gets the ack when the event has its turn. */
export interface Origin {
  readonly connection: Connection;
  readonly ref: number | undefined;
  /** The message's idempotency key, which its ack repeats. */
  readonly id: string | undefined;
  /** `performance.now()` when its frame came. */
  readonly at: number;
}

/** An event as it crosses to a gateway in another thread. */
export interface EncodedEvent {
  readonly seq: number;
  readonly prev: number;
  readonly ts: number;
  readonly json: string | undefined;
  readonly msgpack: Uint8Array | undefined;
  readonly text: string | undefined;
}

type Content = LogEntry | MembersChanged | Typing;

/** Something that goes to a room's members: an event of the log, or a passing note without a position. */
export class Entry {
  /** The sender in this process; set until all, and the ack, have left. */
  origin: Origin | undefined;
  /** `performance.now()` when its sender's frame came; 0 where the sender is elsewhere. */
  cameAt = 0;
  #message: Content | undefined;
  // One field for each codec rather than an array: rings hold many entries, and the garbage collector walks them.
  #json: Frame | null | undefined;
  #msgpack: Frame | null | undefined;
  #text: Frame | null | undefined;

  constructor(
    /** Undefined where frames are given instead: JSON or MessagePack must be one of them. */
    message: Content | undefined,
    /** The event's seq; 0 for a note. */
    readonly seq: number,
    readonly prev: number,
    /** Ms since 1970; 0 for a note. */
    readonly ts: number,
    /** About what it takes in memory. */
    readonly bytes: number,
    /** `performance.now()` when it was delivered to this process. */
    readonly at: number,
  ) {
    this.#message = message;
  }

  /** An event that is encoded already, by codec; undefined for codecs that nobody needed. */
  static encoded(event: EncodedEvent, now: number): Entry {
    const { seq, prev, ts, json, msgpack, text } = event;
    const bytes =
      ENTRY_BYTES +
      (json?.length ?? 0) +
      (msgpack?.length ?? 0) +
      (text?.length ?? 0);
    const entry = new Entry(undefined, seq, prev, ts, bytes, now);
    entry.#json = json;
    entry.#msgpack = msgpack;
    entry.#text = text;
    return entry;
  }

  get message(): Content {
    return (this.#message ??= (
      this.#json
        ? JSON.parse(this.#json as string)
        : unpack(this.#msgpack as Uint8Array)
    ) as Content);
  }

  /**
   * Encoded once per codec, when the first subscriber of that codec needs it.
   * @param encodes by `codec.index`: raised when it is encoded
   */
  frame(codec: Codec, encodes: number[]): Frame | null {
    switch (codec.index) {
      case 0:
        return (this.#json ??= this.#encode(codec, encodes));
      case 1:
        return (this.#msgpack ??= this.#encode(codec, encodes));
      default:
        if (this.#text === undefined) this.#text = this.#encode(codec, encodes);
        return this.#text;
    }
  }

  /** The message is deleted: from now on, this is what stands in its place. */
  bury(room: string): void {
    const { seq, prev, ts } = this;
    this.#message = tombstone(room, seq, prev, seq, ts);
    this.#json = this.#msgpack = this.#text = undefined;
  }

  #encode(codec: Codec, encodes: number[]): Frame | null {
    const frame = codec.encode(this.message);
    if (frame !== null) encodes[codec.index]!++;
    return frame;
  }

  /** Everybody has it: what a frame tells is not kept as an object too, which takes many times the memory. */
  settle(): void {
    if (this.#json || this.#msgpack) this.#message = undefined;
  }
}

const ENTRY_BYTES = 300;
/** What a byte of `data` as JSON takes while it is an object: arrays of empty arrays are the worst. */
const DATA_BYTES_PER_BYTE = 10;

export function eventEntry(event: RoomEvent, now: number): Entry {
  const bytes =
    ENTRY_BYTES + 3 * event.text.length + DATA_BYTES_PER_BYTE * event.dataBytes;
  return new Entry(
    toMessage(event),
    event.seq,
    event.prev,
    event.ts,
    bytes,
    now,
  );
}

export function noteEntry(
  message: MembersChanged | Typing,
  now: number,
): Entry {
  return new Entry(message, 0, 0, 0, ENTRY_BYTES, now);
}

const shown = (seq: number, prev: number): number | undefined =>
  prev === seq - 1 ? undefined : prev;

function tombstone(
  room: string,
  seq: number,
  prev: number,
  target: number,
  ts: number,
): MessageDeleted {
  return {
    action: "message_deleted",
    room,
    seq,
    prev: shown(seq, prev),
    target,
    ts,
  };
}

export function toMessage(event: RoomEvent): LogEntry {
  if (event.target > 0)
    return tombstone(event.room, event.seq, event.prev, event.target, event.ts);
  return {
    action: "receive_message",
    room: event.room,
    seq: event.seq,
    prev: shown(event.seq, event.prev),
    from: event.from,
    user: event.user,
    text: event.text,
    ts: event.ts,
    id: event.id,
    data: event.data,
  };
}
