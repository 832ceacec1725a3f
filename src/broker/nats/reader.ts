import { LinkError, type Link } from "./link.ts";
import {
  headersOf,
  numberIn,
  statusIn,
  toStored,
  valueIn,
  type Stored,
} from "./stored.ts";
import type { Place } from "./subjects.ts";

/** Messages and bytes that one answer may bring: NATS sends them all at once. */
const BATCH_MESSAGES = 512;
const BATCH_BYTES = 1024 * 1024;

/** A part of a room, ascending. */
export interface Batch {
  readonly messages: readonly Stored[];
  /** How many of the room's messages come after these; known where there are `messages`. */
  readonly pending: number;
}

/** Which messages: of a stream, and of these subjects. */
export type Whose = Pick<Place, "stream" | "subject">;

/**
 * Reads from the streams. "Direct" reads are answered by any replica, which may lag; what only the leader may answer says
 * so.
 */
export class StreamReader {
  constructor(private readonly link: Link) {}

  /**
   * A room's messages above a position, the oldest first.
   * @throws LinkError
   */
  async after(
    { stream, subject }: Whose,
    position: number,
    limit: number,
    bytes = BATCH_BYTES,
  ): Promise<Batch> {
    const messages: Stored[] = [];
    let pending = 0;
    await this.link.request(
      `$JS.API.DIRECT.GET.${stream}`,
      {
        seq: position + 1,
        next_by_subj: subject,
        batch: Math.min(limit, BATCH_MESSAGES),
        max_bytes: Math.min(bytes, BATCH_BYTES),
      },
      (msg) => {
        const headers = headersOf(msg);
        if (isEnd(headers)) return true;
        const stored = toStored(msg, headers);
        if (stored) {
          messages.push(stored);
          pending = numberIn(headers, "Nats-Num-Pending");
        }
        return false;
      },
    );
    return { messages, pending };
  }

  /**
   * How many messages there are; fewer where the replica that answers is behind.
   * @throws LinkError
   */
  async count(whose: Whose): Promise<number> {
    const { messages, pending } = await this.after(whose, 0, 1);
    return messages.length + pending;
  }

  /**
   * The message at a position, of whatever room; undefined where it was removed.
   * @throws LinkError
   */
  async at({ stream }: Place, seq: number): Promise<Stored | undefined> {
    let stored: Stored | undefined;
    await this.link.request(`$JS.API.DIRECT.GET.${stream}`, { seq }, (msg) => {
      const headers = headersOf(msg);
      if (!isEnd(headers)) stored = toStored(msg, headers);
      return true;
    });
    return stored ?? this.#fromLeader(stream, { seq });
  }

  /**
   * The first of a room's messages above a position, as the leader knows it.
   * @throws LinkError
   */
  leaderAfter(
    { stream, subject }: Whose,
    position: number,
  ): Promise<Stored | undefined> {
    return this.#fromLeader(stream, {
      seq: position + 1,
      next_by_subj: subject,
    });
  }

  /**
   * The seq of each room's last message, for rooms of one stream, where it is above `position`.
   * @returns also up to which seq of the stream that is so; undefined where no room has any message
   * @throws LinkError
   */
  async heads(
    stream: string,
    places: readonly Place[],
    position: number,
  ): Promise<{ heads: Map<string, number>; upto: number | undefined }> {
    const heads = new Map<string, number>();
    let upto: number | undefined;
    await this.link.request(
      `$JS.API.DIRECT.GET.${stream}`,
      {
        multi_last: places.map((place) => place.subject),
        seq: position + 1,
      },
      (msg) => {
        const headers = headersOf(msg);
        if (isEnd(headers)) {
          const told = numberIn(headers, "Nats-UpTo-Sequence");
          if (told > 0) upto = told;
          return true;
        }
        const seq = numberIn(headers, "Nats-Sequence");
        if (seq > 0) heads.set(valueIn(headers, "Nats-Subject"), seq);
        return false;
      },
    );
    return { heads, upto };
  }

  async #fromLeader(
    stream: string,
    query: object,
  ): Promise<Stored | undefined> {
    let stored: Stored | undefined;
    await this.link.request(
      `$JS.API.STREAM.MSG.GET.${stream}`,
      query,
      (msg) => {
        const { message, error } = msg.json<LeaderAnswer>();
        if (message) {
          const body = Buffer.from(message.data ?? "", "base64");
          stored = {
            seq: message.seq,
            prev: 0,
            ts: Date.parse(message.time),
            body: body.toString(),
            bytes: body.length,
          };
        } else if (error?.code !== 404)
          throw new LinkError(`NATS cannot read: ${error?.description}`);
        return true;
      },
    );
    return stored;
  }
}

interface LeaderAnswer {
  readonly message?: {
    readonly seq: number;
    readonly time: string;
    readonly data?: string;
  };
  readonly error?: { readonly code: number; readonly description: string };
}

/**
 * Whether a direct get has no more messages: 204 is the end of a batch, 404 means that there is nothing.
 * @throws LinkError
 */
function isEnd(headers: string): boolean {
  const status = statusIn(headers);
  if (status === 204 || status === 404) return true;
  if (status > 0)
    throw new LinkError(
      `NATS cannot read: ${headers.slice(9, headers.indexOf("\r\n"))}`,
    );
  return false;
}
