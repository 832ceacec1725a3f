import type { Page, Range, RoomEvent } from "../broker.ts";
import { LinkError } from "./link.ts";
import type { StreamReader } from "./reader.ts";
import { decode, type Stored } from "./stored.ts";
import type { Tombstones } from "./tombstones.ts";
import type { Place } from "./subjects.ts";

/** Messages in one look back: a latest page is read in such pieces, so that long texts do not come in vain. */
const PIECE = 128;
/** Halvings of a range of positions that a search may take. */
const MAX_STEPS = 60;

/** What pages need to know beside what they read. */
export interface Removals {
  /** Whether no message was ever removed from the stream: asked of its leader. */
  untouched(place: Place): Promise<boolean>;
  /** See Certainty. */
  endsAt(place: Place, position: number, seq: number): Promise<boolean>;
}

/** Reads ranges of rooms as the broker's callers want them. */
export class Pages {
  constructor(
    private readonly reader: StreamReader,
    private readonly removals: Removals,
    private readonly tombstones: Pick<Tombstones, "merge" | "follows">,
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
    // One beyond the limit tells whether there are more.
    const batch = { limit: range.limit + 1, bytes: range.bytes + SLACK_BYTES };
    for await (const message of this.#walk(
      place,
      range.after,
      range.upto,
      batch,
    )) {
      if (
        found.length === range.limit ||
        (found.length > 0 && size >= range.bytes)
      ) {
        more = true;
        break;
      }
      found.push(message);
      size += message.bytes;
    }
    const page = await this.tombstones.merge(
      place,
      found,
      range.after,
      more ? found.at(-1)!.seq : range.upto,
    );
    if (page.length === 0) return { events: [], more };
    const prev = await this.prevOfFirst(place, range.after, page[0]!);
    return {
      events: toEvents(place, page.slice(0, range.limit), prev),
      more: more || page.length > range.limit,
    };
  }

  /**
   * Messages with `after < seq <= upto`, ascending. Callers ask for what they know is there, and the replica that answers
   * may be far behind: where it has no more, the leader has the last word, and the next replica is asked from there.
   * @throws LinkError
   */
  async *#walk(
    place: Place,
    after: number,
    upto: number,
    batch: { readonly limit: number; readonly bytes?: number },
  ): AsyncGenerator<Stored> {
    let position = after;
    let pending = 1;
    while (position < upto) {
      let messages: readonly Stored[] = [];
      if (pending > 0)
        ({ messages, pending } = await this.reader.after(
          place,
          position,
          batch.limit,
          batch.bytes,
        ));
      if (messages.length === 0) {
        const next = await this.reader.leaderAfter(place, position);
        if (!next) {
          // A page that ends too early would be a hole that nobody sees.
          if (
            upto < Number.MAX_SAFE_INTEGER &&
            !(await this.removals.endsAt(place, position, upto))
          )
            throw new LinkError("the NATS server that answered is behind");
          return;
        }
        messages = [next];
        pending = 1;
      }
      for (const message of messages) {
        if (message.seq > upto) return;
        yield message;
        position = message.seq;
      }
    }
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
            position ||
          // Or what was at the position was deleted, and its note says what came next.
          (await this.tombstones.follows(place, position, first.seq));
    return kept ? position : first.seq - 1;
  }

  async #latest(place: Place, range: Range): Promise<Page> {
    let found: Stored[] = [];
    let size = 0;
    let { upto } = range;
    for (;;) {
      // One more than wanted: it tells whether there are more, and what came before the first.
      const wanted = Math.min(range.limit + 1 - found.length, PIECE);
      const piece = await this.#lastOf(place, range.after, upto, wanted);
      let taken = piece.length;
      let full = false;
      while (taken > 0 && !full) {
        if (found.length + piece.length - taken >= range.limit) full = true;
        else if (found.length + piece.length - taken > 0 && size >= range.bytes)
          full = true;
        else size += piece[--taken]!.bytes;
      }
      found = [...piece.slice(taken), ...found];
      const done = full || piece.length < wanted;
      if (!done) {
        upto = piece[0]!.seq - 1;
        continue;
      }
      const before = full ? piece[taken - 1]!.seq : range.after;
      const page = await this.tombstones.merge(
        place,
        found,
        before,
        range.upto,
      );
      const over = Math.max(0, page.length - range.limit);
      return {
        events: toEvents(
          place,
          page.slice(over),
          over > 0 ? page[over - 1]!.seq : before,
        ),
        more: full || over > 0,
      };
    }
  }

  /**
   * The last `wanted` messages with `after < seq <= upto`, fewer where there are no more.
   * @throws LinkError
   */
  async #lastOf(
    place: Place,
    after: number,
    upto: number,
    wanted: number,
  ): Promise<Stored[]> {
    let { low, count } = await this.#search(place, after, upto, wanted);
    for (;;) {
      const found: Stored[] = [];
      const batch = { limit: count + 1 };
      for await (const message of this.#walk(place, low, upto, batch)) {
        found.push(message);
        if (found.length > wanted) found.shift();
      }
      if (found.length === wanted || low === after) return found;
      // Replicas that are not equally far counted differently.
      const width = (found.at(-1)?.seq ?? low) - low;
      low = Math.max(after, low - 2 * width - 1024);
      count = PIECE;
    }
  }

  /**
   * A position to read the last `wanted` messages from, and how many messages come after it. There is no backward read in
   * NATS, but each read tells how many messages of the room come after: the position is searched by that.
   */
  async #search(
    place: Place,
    after: number,
    upto: number,
    wanted: number,
  ): Promise<{ low: number; count: number }> {
    // How many of the room's messages are above a position.
    const above = async (position: number): Promise<number> => {
      const { messages, pending } = await this.reader.after(place, position, 1);
      return messages.length + pending;
    };
    const bounded = upto < Number.MAX_SAFE_INTEGER;
    const beyond = bounded ? await above(upto) : 0;
    let low = after;
    let lowCount = (await above(after)) - beyond;
    let high = bounded ? upto : await this.#head(place);
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
      const count = (await above(middle)) - beyond;
      if (count >= wanted) {
        low = middle;
        lowCount = count;
      } else {
        high = middle;
        highCount = Math.max(0, count);
      }
    }
    return { low, count: Math.max(lowCount, 1) };
  }

  async #head(place: Place): Promise<number> {
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
