import type { Feed } from "./feed.ts";
import { LinkError } from "./link.ts";
import type { StreamReader } from "./reader.ts";
import type { Place } from "./subjects.ts";

/** Rooms, and bytes of their subjects, in one question. NATS answers at most 1,024 at once. */
const ROOMS_PER_QUESTION = 500;
const BYTES_PER_QUESTION = 64 * 1024;
/** Another server may have learned of a subscription only now. */
const LOOK_AGAIN_MS = 1000;
/** A lost last message leaves no hole behind it: this finds it. */
const COMPARE_MS = 2000;

interface Asked {
  readonly place: Place;
  readonly resolve: (head: number) => void;
  readonly reject: (error: Error) => void;
}

/** Compares what came of rooms with where their logs end. */
export class Heads {
  #asked: Asked[] = [];
  /** New feeds, and when to look at them again; the earliest first. */
  readonly #again: { readonly feed: Feed; readonly at: number }[] = [];
  #comparing = false;
  #comparedAt = performance.now();

  constructor(
    private readonly reader: StreamReader,
    private readonly feeds: () => Iterable<Feed>,
    private readonly up: () => boolean,
    /** A feed is behind the head of its room. */
    private readonly onBehind: (feed: Feed, head: number) => void,
  ) {}

  /**
   * The seq of a room's last message, 0 where there is none. Questions of one turn are asked together: after a restart
   * thousands of rooms are.
   * @throws LinkError
   */
  of(place: Place): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ place, resolve, reject });
      if (this.#asked.length === 1) queueMicrotask(() => void this.#ask());
    });
  }

  /** Looks at a new feed's head once more, soon. */
  lookAgain(feed: Feed): void {
    this.#again.push({ feed, at: performance.now() + LOOK_AGAIN_MS });
  }

  /** Compares all heads at the next tick. */
  soon(): void {
    this.#comparedAt = -Infinity;
  }

  /** To be called a few times a second. */
  tick(now: number): void {
    if (!this.up() || this.#comparing) return;
    if (now - this.#comparedAt >= COMPARE_MS) {
      this.#comparedAt = now;
      void this.#compare([...this.feeds()]);
      return;
    }
    let due = 0;
    while (due < this.#again.length && this.#again[due]!.at <= now) due++;
    if (due > 0)
      void this.#compare(this.#again.splice(0, due).map(({ feed }) => feed));
  }

  async #compare(feeds: readonly Feed[]): Promise<void> {
    this.#comparing = true;
    try {
      const started = feeds.filter((feed) => feed.started && !feed.closed);
      for (const some of questions(started, (feed) => feed.place)) {
        // Rooms that were compared up to a seq of the stream have nothing new below it.
        const since = Math.min(...some.map((feed) => feed.checked));
        const { stream } = some[0]!.place;
        const { heads, upto } = await this.reader.heads(
          stream,
          some.map((feed) => feed.place),
          since,
        );
        for (const feed of some) {
          const head = heads.get(feed.place.subject);
          if (head !== undefined && head > feed.position)
            this.onBehind(feed, head);
          if (upto !== undefined && upto > feed.checked) feed.checked = upto;
        }
      }
    } catch (error) {
      // The next comparison comes soon enough.
      if (!(error instanceof LinkError)) throw error;
    } finally {
      this.#comparing = false;
    }
  }

  async #ask(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    for (const some of questions(asked, ({ place }) => place)) {
      try {
        const { heads } = await this.reader.heads(
          some[0]!.place.stream,
          some.map(({ place }) => place),
          0,
        );
        for (const { place, resolve } of some)
          resolve(heads.get(place.subject) ?? 0);
      } catch (error) {
        for (const { reject } of some) reject(error as Error);
      }
    }
  }
}

/** Parts what is asked by streams, into questions of a size that NATS takes. */
function questions<T>(items: readonly T[], placeOf: (item: T) => Place): T[][] {
  const open = new Map<number, { items: T[]; bytes: number }>();
  const all: T[][] = [];
  for (const item of items) {
    const { index, subject } = placeOf(item);
    let question = open.get(index);
    if (
      !question ||
      question.items.length >= ROOMS_PER_QUESTION ||
      question.bytes >= BYTES_PER_QUESTION
    ) {
      question = { items: [], bytes: 0 };
      open.set(index, question);
      all.push(question.items);
    }
    question.items.push(item);
    question.bytes += subject.length;
  }
  return all;
}
