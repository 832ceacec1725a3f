import type { Broker, Page, Range } from "../broker/broker.ts";
import type { Codec, Frame } from "../protocol/codec.ts";
import { toMessage, type Entry, type Origin } from "./entry.ts";
import type { Room } from "./room.ts";

/** Events of a room, encoded, as a reply carries them. */
export interface Recalled {
  /** What `codec.encodeReply` takes. */
  readonly body: Frame | null;
  /** Events in `body`. */
  readonly count: number;
  /** `prev` of the first event; undefined where there are none. */
  readonly firstPrev: number | undefined;
  /** The range holds more: newer ones for `oldest`, older ones for `latest`. */
  readonly more: boolean;
  readonly bytes: number;
}

export const NOTHING: Recalled = {
  body: null,
  count: 0,
  firstPrev: undefined,
  more: false,
  bytes: 0,
};

/** Which events: `after < seq <= upto`, the oldest or the latest `limit` of them. */
export interface Wanted {
  readonly after: number;
  readonly upto: number;
  readonly take: "oldest" | "latest";
  readonly limit: number;
}

interface CacheSlot {
  readonly recalled: Recalled;
  readonly at: number;
}

const CACHE_BYTES = 16 * 1024 * 1024;
/** Retention may remove what an older answer holds. */
const CACHE_MS = 5000;

/** Reads events for replies: from the ring, else from the broker. Equal questions are encoded once. */
export class Recall {
  /** Least recently used first. After a restart thousands ask the same. */
  readonly #cache = new Map<string, CacheSlot>();
  #cachedBytes = 0;
  /** Reads under way, at most one for each connection. */
  readonly #asked = new Map<string, Promise<Recalled>>();

  constructor(
    private readonly broker: Pick<Broker<Origin>, "read">,
    private readonly maxReplyBytes: number,
    /** Older events are not shown. Infinity for none. */
    private readonly retentionMs: number,
    /** By `codec.index`: raised when an event is encoded. */
    private readonly encodes: number[],
  ) {}

  /** @returns at once where the ring or the cache holds it */
  get(
    room: Room,
    codec: Codec,
    wanted: Wanted,
    now: number,
  ): Recalled | Promise<Recalled> {
    if (wanted.after >= wanted.upto || wanted.limit === 0) return NOTHING;
    const { life } = room;
    const key = `${life} ${codec.index} ${wanted.after} ${wanted.upto} ${wanted.take} ${wanted.limit}`;
    const cached = this.#cache.get(key);
    if (cached && now - cached.at < CACHE_MS) return cached.recalled;
    if (this.retentionMs !== Infinity)
      room.ring.dropBefore(Date.now() - this.retentionMs);
    const entries =
      wanted.take === "oldest"
        ? room.ring.range(wanted.after, wanted.upto)
        : room.ring.latest(wanted.upto, wanted.limit);
    if (entries)
      return this.#keep(key, this.#fromRing(entries, codec, wanted), now);
    const asked = this.#asked.get(key);
    if (asked) return asked;
    const range: Range = { ...wanted, bytes: this.maxReplyBytes };
    const answer = this.broker
      .read(room.name, range)
      .then((page) => {
        const recalled = this.#fromPage(page, codec, wanted);
        return room.life === life ? this.#keep(key, recalled, now) : recalled;
      })
      .finally(() => this.#asked.delete(key));
    this.#asked.set(key, answer);
    return answer;
  }

  /** Forgets what was read of a room in its life of now. */
  forget({ life }: Room): void {
    for (const [key, slot] of this.#cache)
      if (key.startsWith(`${life} `)) this.#drop(key, slot);
  }

  #fromRing(entries: readonly Entry[], codec: Codec, wanted: Wanted): Recalled {
    const frames = entries.map((entry) => entry.frame(codec, this.encodes)!);
    // `latest` came back only because the ring knows of an older one.
    return this.#cut(frames, entries, codec, wanted, wanted.take === "latest");
  }

  #fromPage(page: Page, codec: Codec, wanted: Wanted): Recalled {
    const frames = page.events.map((event) => codec.encode(toMessage(event))!);
    this.encodes[codec.index]! += frames.length;
    return this.#cut(frames, page.events, codec, wanted, page.more);
  }

  /** Cuts to the limits, at least one event, from the end that `take` is about. */
  #cut(
    frames: readonly Frame[],
    events: readonly { readonly prev: number }[],
    codec: Codec,
    wanted: Wanted,
    more: boolean,
  ): Recalled {
    if (frames.length === 0) return NOTHING;
    const oldest = wanted.take === "oldest";
    let bytes = 0;
    let count = 0;
    while (count < frames.length && count < wanted.limit) {
      const frame = frames[oldest ? count : frames.length - 1 - count]!;
      const size =
        typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
      if (count > 0 && bytes + size > this.maxReplyBytes) break;
      bytes += size;
      count++;
    }
    const from = oldest ? 0 : frames.length - count;
    return {
      body: codec.joinMessages(frames.slice(from, from + count)),
      count,
      firstPrev: events[from]!.prev,
      more: more || count < frames.length,
      bytes,
    };
  }

  #keep(key: string, recalled: Recalled, now: number): Recalled {
    const known = this.#cache.get(key);
    if (known) this.#drop(key, known);
    this.#cache.set(key, { recalled, at: now });
    this.#cachedBytes += recalled.bytes + CACHE_SLOT_BYTES;
    for (const [oldKey, slot] of this.#cache) {
      if (this.#cachedBytes <= CACHE_BYTES && now - slot.at < CACHE_MS) break;
      this.#drop(oldKey, slot);
    }
    return recalled;
  }

  #drop(key: string, slot: CacheSlot): void {
    this.#cache.delete(key);
    this.#cachedBytes -= slot.recalled.bytes + CACHE_SLOT_BYTES;
  }
}

const CACHE_SLOT_BYTES = 512;
