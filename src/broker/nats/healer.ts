import type { Certainty } from "./certainty.ts";
import { LinkError } from "./link.ts";
import type { Feed } from "./feed.ts";
import type { Pages } from "./pages.ts";
import type { StreamReader } from "./reader.ts";
import type { Tombstones } from "./tombstones.ts";

/** Reads under way at a time: after NATS was gone, thousands of rooms may lack something. */
const MAX_READS = 16;
const READ_MESSAGES = 512;
/** What the stream has may still be on its way: after this long it is taken for lost, and read. */
const GRACE_MS = 250;
const RETRY_MS = 500;

/** Reads from the streams what feeds lack. */
export class Healer {
  readonly #queue = new Set<Feed>();
  /** Feeds of which the stream has more than came, since when, and up to which seq. */
  readonly #suspects = new Map<Feed, { seq: number; since: number }>();
  #reading = 0;
  #pausedUntil = 0;
  /** Holes that were filled, for whoever measures. */
  healed = 0;

  constructor(
    private readonly reader: StreamReader,
    private readonly pages: Pick<Pages, "prevOfFirst">,
    private readonly certainty: Pick<Certainty, "endsAt">,
    private readonly tombstones: Pick<Tombstones, "merge">,
    private readonly up: () => boolean,
    /** The log of a feed went on over what the stream no longer has. */
    private readonly onSkipped: (feed: Feed) => void,
  ) {}

  /** A message is missing before one that came. */
  heal(feed: Feed): void {
    this.#queue.add(feed);
    this.#pump();
  }

  /** The stream has a message of this seq: it should come by itself soon. */
  suspect(feed: Feed, seq: number): void {
    feed.expect(seq);
    if (feed.missing > 0 && !this.#suspects.has(feed))
      this.#suspects.set(feed, { seq, since: performance.now() });
  }

  /** To be called a few times a second. */
  tick(now: number): void {
    for (const [feed, suspicion] of this.#suspects) {
      if (feed.closed || feed.missing === 0) this.#suspects.delete(feed);
      else if (feed.position >= suspicion.seq) {
        // That one came; a later one is now waited for.
        suspicion.seq = feed.missing;
        suspicion.since = now;
      } else if (now - suspicion.since >= GRACE_MS) {
        this.#suspects.delete(feed);
        this.heal(feed);
      }
    }
    this.#pump();
  }

  #pump(): void {
    if (!this.up() || performance.now() < this.#pausedUntil) return;
    for (const feed of this.#queue) {
      if (this.#reading >= MAX_READS) return;
      this.#queue.delete(feed);
      // A feed that heals looks for what is missing until nothing is.
      if (feed.closed || feed.healing) continue;
      void this.#run(feed);
    }
  }

  async #run(feed: Feed): Promise<void> {
    this.#reading++;
    feed.healing = true;
    try {
      // What came live meanwhile may have filled the hole.
      feed.drain();
      while (!feed.closed && feed.missing > 0) await this.#step(feed);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.#pausedUntil = performance.now() + RETRY_MS;
      this.#queue.add(feed);
    } finally {
      this.#reading--;
      feed.healing = false;
      if (!feed.closed) feed.drain();
      this.#pump();
    }
  }

  async #step(feed: Feed): Promise<void> {
    const { place, position, missing } = feed;
    let { messages } = await this.reader.after(place, position, READ_MESSAGES);
    if (messages.length === 0) {
      // The replica that answered may be behind.
      const next = await this.reader.leaderAfter(place, position);
      if (next) messages = [next];
    }
    if (feed.closed) return;
    if (messages.length === 0) {
      if (!(await this.certainty.endsAt(place, position, missing)))
        throw new LinkError("the NATS server that answered is behind");
      if (feed.closed) return;
      feed.skipTo(missing);
      this.onSkipped(feed);
      return;
    }
    const log = await this.tombstones.merge(
      place,
      messages,
      position,
      messages.at(-1)!.seq,
    );
    const whole =
      (await this.pages.prevOfFirst(place, position, log[0]!)) === position;
    if (feed.closed) return;
    this.healed++;
    feed.fill(log, whole);
    if (!whole) this.onSkipped(feed);
  }
}
