import type { Page, Range, RoomEvent } from "../broker.ts";
import { LinkError } from "./link.ts";
import type { StreamReader } from "./reader.ts";
import { decode, type Stored } from "./stored.ts";
import type { Place } from "./subjects.ts";

/** Messages in one look back: a latest page is read in such pieces, so that long texts do not come in vain. */
const PIECE = 128;
/** Halvings of a range of positions that a search may take. */
const MAX_STEPS = 60;

/** Messages by which a replica may be behind what is asked for. */
const MAX_LAG = 1000;

/** What pages need to know of a stream as a whole. */
export interface Removals {
  /** Whether no message was ever removed from the stream: asked of its leader. */
  untouched(place: Place): Promise<boolean>;
}

/** Reads ranges of rooms as the broker's callers want them. */
export class Pages {
  constructor(
    private readonly reader: StreamReader,
    private readonly removals: Removals,
  ) {}

  /** @throws LinkError */
  read(place: Place, range: Range): Promise<Page> {
    if (range.after >= range.upto || range.limit <= 0)
      return Promise.resolve({ events: [], more: false });
    return range.take === "oldest"
      ? this.#oldest(place, range)
      : this.#latest(place, range);
  }

  async #oldest(place: Place, range: Range): Promise<Page> {
    const found: Stored[] = [];
    let size = 0;
    let more = false;
    let position = range.after;
    let pending = 1;
    scan: while (pending > 0 && position < range.upto) {
      const batch = await this.reader.after(
        place,
        position,
        // One beyond the limit tells whether there are more.
        range.limit + 1 - found.length,
        range.bytes - size + SLACK_BYTES,
      );
      if (batch.messages.length === 0) break;
      for (const message of batch.messages) {
        if (message.seq > range.upto) break scan;
        if (
          found.length === range.limit ||
          (found.length > 0 && size >= range.bytes)
        ) {
          more = true;
          break scan;
        }
        found.push(message);
        size += message.body.length;
        position = message.seq;
      }
      pending = batch.pending;
    }
    if (!more) {
      const missed = await this.#missed(place, position, range.upto);
      for (const message of missed) {
        more = found.length === range.limit || size >= range.bytes;
        if (more && found.length > 0) break;
        found.push(message);
        size += message.body.length;
      }
    }
    if (found.length === 0) return { events: [], more };
    const prev = await this.prevOfFirst(place, range.after, found[0]!);
    return { events: toEvents(place, found, prev), more };
  }

  /**
   * What to tell as `prev` of the first message found above a position. The stream does not say what was before it: if
   * something was removed in between, a hole must show.
   * @throws LinkError
   */
  async prevOfFirst(
    place: Place,
    position: number,
    first: Stored,
  ): Promise<number> {
    // Removal begins with the oldest: while a message at or below the position is there, all above are. Asked after
    // reading, and of the leader, who is not behind those that were read from.
    const kept =
      position === 0
        ? await this.removals.untouched(place)
        : ((await this.reader.leaderAfter(place, 0))?.seq ?? Infinity) <=
          position;
    return kept ? position : first.seq - 1;
  }

  /**
   * What the replica that was read from did not have yet: callers ask for what they know is there.
   * @param last seq of the last message read
   * @throws LinkError
   */
  async #missed(place: Place, last: number, upto: number): Promise<Stored[]> {
    const missed: Stored[] = [];
    while (last < upto) {
      const next = await this.reader.leaderAfter(place, last);
      if (!next || next.seq > upto) break;
      if (missed.push(next) > MAX_LAG)
        throw new LinkError("the replica that was asked is far behind");
      last = next.seq;
    }
    return missed;
  }

  async #latest(place: Place, range: Range): Promise<Page> {
    let found: Stored[] = [];
    let size = 0;
    let { upto } = range;
    for (;;) {
      // One more than wanted: it tells whether there are more, and what came before the first.
      const wanted = Math.min(range.limit + 1 - found.length, PIECE);
      let piece = await this.#lastOf(place, range.after, upto, wanted);
      if (upto === range.upto) {
        const last = piece.at(-1)?.seq ?? range.after;
        const missed = await this.#missed(place, last, upto);
        piece = [...piece, ...missed].slice(-wanted);
      }
      let taken = piece.length;
      let full = false;
      while (taken > 0 && !full) {
        if (found.length + piece.length - taken >= range.limit) full = true;
        else if (found.length + piece.length - taken > 0 && size >= range.bytes)
          full = true;
        else size += piece[--taken]!.body.length;
      }
      found = [...piece.slice(taken), ...found];
      const done = full || piece.length < wanted;
      if (!done) {
        upto = piece[0]!.seq - 1;
        continue;
      }
      const before = full ? piece[taken - 1]!.seq : range.after;
      return { events: toEvents(place, found, before), more: full };
    }
  }

  /**
   * The last `wanted` messages with `after < seq <= upto`, fewer where there are no more. There is no backward read in
   * NATS, but each batch tells how many messages come after: the place to read from is searched by that.
   */
  async #lastOf(
    place: Place,
    after: number,
    upto: number,
    wanted: number,
  ): Promise<Stored[]> {
    // How many of the room's messages are above a position, and the first of them.
    const above = async (
      position: number,
    ): Promise<{ count: number; first: number }> => {
      const { messages, pending } = await this.reader.after(place, position, 1);
      const first = messages[0]?.seq;
      return first === undefined
        ? { count: 0, first: Infinity }
        : { count: pending + 1, first };
    };
    const all = await above(after);
    if (all.first > upto) return [];
    const beyond =
      upto >= Number.MAX_SAFE_INTEGER ? 0 : (await above(upto)).count;
    let low = after;
    let lowCount = all.count - beyond;
    // With no bound above, the search's is where the last message must be: the room's head.
    let high = Math.min(upto, await this.#head(place, upto));
    let highCount = 0;
    // Until the read brings what is wanted and not much more.
    for (
      let step = 0;
      lowCount > 2 * wanted + PIECE && high - low > 1 && step < MAX_STEPS;
      step++
    ) {
      const target = wanted + PIECE / 2;
      // As if messages lay evenly; every third step halves, whatever they do.
      const share =
        step % 3 === 2
          ? 0.5
          : (target - highCount) / Math.max(1, lowCount - highCount);
      const middle = Math.min(
        high - 1,
        Math.max(low + 1, Math.round(high - (high - low) * share)),
      );
      const count = (await above(middle)).count - beyond;
      if (count >= wanted) {
        low = middle;
        lowCount = count;
      } else {
        high = middle;
        highCount = Math.max(0, count);
      }
    }
    const found: Stored[] = [];
    for (let position = low; ;) {
      const { messages, pending } = await this.reader.after(
        place,
        position,
        Infinity,
      );
      for (const message of messages)
        if (message.seq <= upto) found.push(message);
      // It was longer than counted: messages came meanwhile.
      if (found.length > 4 * wanted) found.splice(0, found.length - wanted);
      if (messages.length === 0 || pending === 0) break;
      position = messages.at(-1)!.seq;
      if (position >= upto) break;
    }
    return found.slice(-wanted);
  }

  async #head(place: Place, upto: number): Promise<number> {
    if (upto < Number.MAX_SAFE_INTEGER) return upto;
    const { heads } = await this.reader.heads(place.stream, [place], 0);
    return heads.get(place.subject) ?? 0;
  }
}

/** Stored messages are longer than what a range's bytes count. */
const SLACK_BYTES = 4096;

/** @param prev of the first. What cannot be decoded is left out, and the next one follows what was before it. */
export function toEvents(
  { room }: Place,
  messages: readonly Stored[],
  prev: number,
): RoomEvent[] {
  const events: RoomEvent[] = [];
  for (const message of messages) {
    const decoded = decode(room, message, prev);
    if (!decoded) continue;
    events.push(decoded.event);
    prev = message.seq;
  }
  return events;
}
