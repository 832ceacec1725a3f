/** Where a room lives in NATS. Made once for a room, shared by all who need it. */
export interface Place {
  readonly room: string;
  /** Index and name of the stream. */
  readonly index: number;
  readonly stream: string;
  /** What is published to, and stored under. */
  readonly subject: string;
  /** Where the stream republishes what it stored. */
  readonly live: string;
  /** What is noted of deletions is stored under subjects that begin with this. */
  readonly deleted: string;
}

const PLAIN = /^[A-Za-z0-9_-]+$/;

/** Names of streams and subjects, of one installation. */
export class Subjects {
  constructor(
    /** As --nats-prefix allows it. */
    readonly prefix: string,
    /** Streams over which rooms are spread. */
    readonly streams: number,
  ) {}

  stream(index: number): string {
    return `${this.prefix}-${index}`;
  }

  /** The events that a stream stores. */
  stored(index: number): string {
    return `${this.prefix}.room.${index}.*`;
  }

  /**
   * What a stream stores beside them: notes on deletions, by room, seq and kind.
   * @param kind of notes, or `*` for all
   */
  notes(index: number, kind: string): string {
    return `${this.prefix}.deleted.${index}.*.*.${kind}`;
  }

  /** Where a stream republishes to, as its transform is written. */
  get republished(): string {
    return `${this.prefix}.live.{{wildcard(1)}}`;
  }

  place(room: string): Place {
    const token = roomToken(room);
    const index = this.streams === 1 ? 0 : hash(token) % this.streams;
    return {
      room,
      index,
      stream: this.stream(index),
      subject: `${this.prefix}.room.${index}.${token}`,
      live: `${this.prefix}.live.${token}`,
      deleted: `${this.prefix}.deleted.${index}.${token}`,
    };
  }
}

/**
 * A room's name as one subject token. Letters, digits, `_` and `-` stay, so that `nats` commands can be read; every other
 * byte of its UTF-8 becomes `=` and two hexadecimal digits. Injective, as `=` itself is among the others. A name of n
 * bytes gives at most 3n: 384 for the longest room.
 */
export function roomToken(room: string): string {
  if (PLAIN.test(room)) return room;
  let token = "";
  for (const byte of Buffer.from(room)) {
    const char = String.fromCharCode(byte);
    token += PLAIN.test(char)
      ? char
      : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return token;
}

/** FNV-1a with murmur3's finalizer. Where rooms are stored depends on it: it must never change. */
function hash(token: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < token.length; i++)
    h = Math.imul(h ^ token.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
