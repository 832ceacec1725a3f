import {
  jetstreamManager,
  type JetStreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import {
  BrokerError,
  type Deletion,
  type Deliver,
  type Done,
  type Draft,
  type MainBroker,
  type Page,
  type Range,
} from "../broker.ts";
import { Certainty, isLeaders } from "./certainty.ts";
import { Deleter } from "./deleter.ts";
import { Feed } from "./feed.ts";
import { Heads } from "./heads.ts";
import { Healer } from "./healer.ts";
import { Health } from "./health.ts";
import {
  Link,
  LinkError,
  NatsError,
  type Ears,
  type LinkOptions,
} from "./link.ts";
import { liveStored } from "./live.ts";
import { Pages } from "./pages.ts";
import { Publisher, type PublisherOptions } from "./publisher.ts";
import { StreamReader } from "./reader.ts";
import { RecentIds } from "./recent-ids.ts";
import { decode, eventOf, messageId, type Stored } from "./stored.ts";
import {
  ensureStreams,
  epochOf,
  renewLife,
  streamInfo,
  type StreamOptions,
} from "./streams.ts";
import { Subjects, type Place } from "./subjects.ts";
import { ERASED, Tombstones, type NoteKind } from "./tombstones.ts";

export interface NatsOptions
  extends LinkOptions, StreamOptions, PublisherOptions {
  readonly prefix: string;
  /** Over which rooms are spread. Cannot change once events are stored. */
  readonly streams: number;
  /** How many messages' ids are kept here for `repeat`; 0 where nobody asks. */
  readonly recentIds: number;
}

export interface NatsEvents {
  /** Something an operator wants to read. */
  readonly tell: (message: string) => void;
  /** The store is another one than at the start, or closed to us: the process must be started anew. Called once. */
  readonly onEnd: (reason: string) => void;
}

export interface NatsFigures {
  readonly up: boolean;
  /** Publishes sent and not yet acknowledged. */
  readonly inFlight: number;
  readonly reconnects: number;
}

const TICK_MS = 100;
const LOOK_MS = 2000;
/** A leader that was just deposed may tell an old state: one look is no proof. */
const PROOFS = 3;
const RETRY_AFTER_MS = 1000;
/** Longer than it takes NATS to choose a leader: then it may be our server that does not reach the others. */
const MOVE_ON_MS = 10_000;

/** Deletions take milliseconds from erasing to noting it. */
const MAX_COUNTS = 5;
const COUNT_AGAIN_MS = 25;

interface Subscribed {
  readonly feed: Feed;
  readonly ears: Ears;
  /** Settles with the head from which on events are delivered. */
  started: Promise<number>;
}

/**
 * The broker over NATS JetStream: streams sequence, store and republish; this delivers what subscribed rooms get, without
 * hole or repeat, and reads what was missed. See README.md beside this file.
 */
export class NatsBroker<Origin> implements MainBroker<Origin> {
  readonly #rooms = new Map<string, Subscribed>();
  readonly #reader: StreamReader;
  readonly #certainty: Certainty;
  readonly #pages: Pages;
  readonly #healer: Healer;
  readonly #heads: Heads;
  readonly #health: Health;
  readonly #publisher: Publisher<Origin>;
  readonly #deleter: Deleter;
  readonly #recent: RecentIds;
  readonly #timers: readonly Timer[];
  #looking = false;
  #movedAt = -Infinity;
  /** The highest seq seen in each stream, and how often in a row the stream told of a lower one. */
  readonly #seen: { seq: number; below: number; missing: number }[];
  #closed = false;
  #ended = false;
  #strangers = 0;

  private constructor(
    readonly epoch: string,
    private readonly link: Link,
    private readonly jsm: JetStreamManager,
    private readonly subjects: Subjects,
    private readonly deliver: Deliver<Origin>,
    options: NatsOptions,
    private readonly events: NatsEvents,
  ) {
    const up = (): boolean => link.up;
    this.#seen = Array.from({ length: subjects.streams }, () => ({
      seq: 0,
      below: 0,
      missing: 0,
    }));
    this.#reader = new StreamReader(link);
    this.#certainty = new Certainty(this.#reader, (index) => this.#info(index));
    const tombstones = new Tombstones(link, this.#reader, options.retentionMs);
    this.#pages = new Pages(
      this.#reader,
      {
        untouched: (place) => this.#untouched(place),
        endsAt: (...where) => this.#certainty.endsAt(...where),
      },
      tombstones,
    );
    this.#healer = new Healer(
      this.#reader,
      this.#pages,
      this.#certainty,
      tombstones,
      up,
      (feed) => this.#publisher.feedChanged(feed.place.room),
    );
    this.#heads = new Heads(
      this.#reader,
      () => this.#feeds(),
      up,
      (feed, head) => this.#healer.suspect(feed, head),
    );
    this.#health = new Health(subjects.streams, () => link.downFor);
    this.#recent = new RecentIds(options.recentIds, options.dedupeWindowMs);
    this.#publisher = new Publisher(
      link,
      this.#reader,
      this.#health,
      {
        place: (room) => subjects.place(room),
        feed: (room) => this.#rooms.get(room)?.feed,
        remember: (...message) => this.#recent.add(...message),
        awaitDelivery: (feed, seq) => this.#healer.suspect(feed, seq),
        tombstone: (place, seq) => tombstones.find(place, seq),
        withTombstones: (...range) => tombstones.merge(...range),
      },
      options,
    );
    this.#deleter = new Deleter(
      link,
      this.#reader,
      tombstones,
      this.#publisher,
      options.retentionEventsPerRoom !== Infinity,
    );
    this.#timers = [
      setInterval(() => {
        const now = performance.now();
        this.#heads.tick(now);
        this.#healer.tick(now);
        this.#publisher.tick(now);
      }, TICK_MS),
      setInterval(() => void this.#look(), LOOK_MS),
    ];
  }

  /** @throws NatsError NATS is not there, refuses, is too old, or its streams are not fit for use */
  static async open<Origin>(
    options: NatsOptions,
    deliver: Deliver<Origin>,
    events: NatsEvents,
  ): Promise<NatsBroker<Origin>> {
    let broker: NatsBroker<Origin> | undefined;
    const link = await Link.open(options, {
      onUp: () => {
        if (!broker) return;
        broker.#heads.soon();
        // Whether streams work again is not to wait for the next turn.
        void broker.#look();
      },
      onDown: () => {
        if (broker) broker.#publisher.down();
      },
      onClosed: (reason) => {
        if (broker) broker.#end(`NATS closed the connection: ${reason}`);
      },
    });
    try {
      requireVersion(link.nc.info?.version ?? "");
      const subjects = new Subjects(options.prefix, options.streams);
      const jsm = await manager(link);
      const epoch = await ensureStreams(jsm, subjects, options, events.tell);
      broker = new NatsBroker(
        epoch,
        link,
        jsm,
        subjects,
        deliver,
        options,
        events,
      );
      return broker;
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  /** Addresses of the servers that were given, without secrets. */
  get servers(): string {
    return this.link.servers;
  }

  /** Whether NATS is there and its streams take messages. */
  get ready(): boolean {
    return this.link.up && this.#health.allTake;
  }

  /** How the connection is, for whoever watches. */
  get figures(): NatsFigures {
    const { up, reconnects } = this.link;
    return { up, reconnects, inFlight: this.#publisher.inFlight };
  }

  publish(draft: Draft, origin: Origin, done: Done<Origin>): void {
    this.#publisher.publish(draft, origin, done);
  }

  /** NATS knows all ids, but cannot be asked. This knows those of messages that were published or delivered here. */
  repeat(draft: Draft, origin: Origin, done: Done<Origin>): boolean {
    if (draft.id === undefined) return false;
    const key = messageId(draft, draft.id);
    const known = this.#recent.get(key, Date.now());
    if (known) done(draft, origin, { ...known, duplicate: true });
    return !!known || this.#publisher.join(key, draft, origin, done);
  }

  subscribe(room: string): Promise<number> {
    const known = this.#rooms.get(room);
    if (known)
      return known.feed.started
        ? Promise.resolve(known.feed.position)
        : known.started;
    const feed = new Feed(this.subjects.place(room), this.#take);
    let ears: Ears;
    try {
      ears = this.link.listen(feed.place.live, (message) => {
        const stored = liveStored(message);
        if (stored && feed.receive(stored)) this.#healer.heal(feed);
      });
    } catch (error) {
      return Promise.reject(toBrokerError(error));
    }
    const started = this.#start(feed);
    this.#rooms.set(room, { feed, ears, started });
    return started;
  }

  async #start(feed: Feed): Promise<number> {
    try {
      // What is stored after the subscription is known to the server comes live; what was before, the head counts.
      await this.link.flush();
      const head = await this.#heads.of(feed.place);
      // It may have been unsubscribed while this waited.
      if (feed.closed) return head;
      feed.start(head);
      this.#heads.lookAgain(feed);
      if (feed.missing > 0) this.#healer.heal(feed);
      this.#publisher.feedChanged(feed.place.room);
      return head;
    } catch (error) {
      if (!feed.closed) this.unsubscribe(feed.place.room);
      throw toBrokerError(error);
    }
  }

  unsubscribe(room: string): void {
    const subscribed = this.#rooms.get(room);
    if (!subscribed) return;
    this.#rooms.delete(room);
    subscribed.feed.closed = true;
    subscribed.ears.close();
    this.#publisher.feedChanged(room);
  }

  async reaches(room: string, seq: number): Promise<boolean> {
    const feed = this.#rooms.get(room)?.feed;
    if (!feed) return false;
    if (feed.position >= seq) return true;
    try {
      const { place } = feed;
      const next = await this.#reader.leaderAfter(place, seq - 1);
      if (!next && (await this.#certainty.endsAt(place, seq - 1, seq)))
        return false;
      this.#healer.suspect(feed, next?.seq ?? seq);
      return true;
    } catch (error) {
      throw toBrokerError(error);
    }
  }

  async read(room: string, range: Range): Promise<Page> {
    try {
      return await this.#pages.read(this.subjects.place(room), range);
    } catch (error) {
      throw toBrokerError(error);
    }
  }

  delete(room: string, target: number): Promise<Deletion> {
    return this.#deleter.delete(this.subjects.place(room), target);
  }

  flush(): Promise<void> {
    return this.#publisher.flush();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.flush();
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const { feed } of this.#rooms.values()) feed.closed = true;
    this.#rooms.clear();
    await this.link.close();
  }

  *#feeds(): Iterable<Feed> {
    for (const { feed } of this.#rooms.values()) yield feed;
  }

  /** The next message of a room's log. @returns whether it is an event */
  readonly #take = (place: Place, stored: Stored, prev: number): boolean => {
    this.#saw(place.index, stored.seq);
    const same = this.#publisher.publishOf(stored.body);
    // It was checked and taken apart when it came: it need not be once more.
    const decoded = same ? undefined : decode(place.room, stored, prev);
    const event = same ? eventOf(same.draft, stored, prev) : decoded?.event;
    if (!event) {
      if (this.#strangers++ === 0)
        this.events.tell(
          `message ${stored.seq} of stream ${place.stream} is not roomcast's, or of a later version: passed over, like all such`,
        );
      return false;
    }
    // A message that is deleted already has another body, and the tag of its publish.
    const own = same ?? this.#publisher.own(decoded!.tag);
    if (event.id !== undefined && !this.#recent.none)
      this.#recent.add(
        own?.key ?? messageId(event, event.id),
        event.seq,
        event.ts,
      );
    this.deliver(event, own?.origin);
    if (own) this.#publisher.delivered(own, stored.seq, stored.ts);
    return true;
  };

  #saw(index: number, seq: number): void {
    const seen = this.#seen[index]!;
    if (seq > seen.seq) seen.seq = seq;
  }

  /** Whether nothing was removed from a room's stream, but what was deleted. */
  async #untouched({ index }: Place): Promise<boolean> {
    const notes = (kind: NoteKind): Promise<number> =>
      this.#reader.count({
        stream: this.subjects.stream(index),
        subject: this.subjects.notes(index, kind),
      });
    for (let tries = 1; ; tries++) {
      // Counted before what there is: what is deleted between then looks like a removal, and never the other way round.
      const erased = tries === 1 ? 0 : await notes(ERASED);
      const info = await this.#info(index);
      if (!info) return false;
      const missing = info.state.last_seq - info.state.messages;
      if (missing === erased) return true;
      // It may be that of a deletion that is coming to its end.
      if (tries === MAX_COUNTS || missing > (await notes("wanted")))
        return false;
      if (tries > 1) await Bun.sleep(COUNT_AGAIN_MS);
    }
  }

  /**
   * @returns undefined where there is no such stream
   * @throws LinkError nobody answers who surely knows
   */
  async #info(index: number): Promise<StreamInfo | undefined> {
    let info: StreamInfo | undefined;
    try {
      info = await streamInfo(this.jsm, this.subjects.stream(index));
    } catch (error) {
      throw new LinkError((error as Error).message);
    }
    if (info && !isLeaders(info))
      throw new LinkError("the stream has no leader that reaches its replicas");
    return info;
  }

  /** Looks after all streams. */
  async #look(): Promise<void> {
    if (!this.link.up || this.#looking) return;
    this.#looking = true;
    const answers = await Promise.all(
      this.#seen.map((_, index) => this.#lookAt(index)),
    );
    this.#looking = false;
    const infos = answers.filter((info) => info !== undefined);
    if (infos.length === answers.length && epochOf(infos) !== this.epoch)
      this.#end("a NATS stream was made anew or restored");
    const now = performance.now();
    if (
      this.#health.failingFor < MOVE_ON_MS ||
      now - this.#movedAt < MOVE_ON_MS ||
      !this.link.moveOn()
    )
      return;
    this.#movedAt = now;
    this.events.tell(
      "the streams' leaders cannot be reached over this NATS server: trying another",
    );
  }

  /**
   * Asks a stream's leader how it is: whether one that failed is back, and whether it is still the one of the start. Under
   * another positions mean nothing.
   * @returns undefined where nobody surely knows
   */
  async #lookAt(index: number): Promise<StreamInfo | undefined> {
    const seen = this.#seen[index]!;
    const expected = seen.seq;
    let info: StreamInfo | undefined;
    try {
      info = await this.#info(index);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      // Nothing is proved, but nothing works. (A connection that is gone is no stream's failure.)
      if (this.link.up) this.#health.fails(index);
      return undefined;
    }
    seen.missing = info ? 0 : seen.missing + 1;
    if (seen.missing >= PROOFS)
      this.#end(`NATS stream ${this.subjects.stream(index)} is gone`);
    if (!info) return undefined;
    this.#health.works(index);
    seen.below = info.state.last_seq < expected ? seen.below + 1 : 0;
    if (seen.below >= PROOFS) await this.#renew(info, expected);
    return info;
  }

  /** A stream's next messages would have positions that others have already: clients must learn that. */
  async #renew(info: StreamInfo, expected: number): Promise<void> {
    try {
      await renewLife(this.jsm, info);
    } catch (error) {
      if (!(error instanceof NatsError)) throw error;
      this.events.tell(error.message);
      return;
    }
    this.#end(
      `NATS stream ${info.config.name} lost its end or was restored: it is at ${info.state.last_seq}, and was at ${expected}`,
    );
  }

  #end(reason: string): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.events.onEnd(reason);
  }
}

/** Batched direct gets came with 2.11. @throws NatsError */
function requireVersion(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < 2 || (major === 2 && minor < 11))
    throw new NatsError(
      `the NATS server is version ${version}; 2.11 or newer is needed`,
    );
}

/** @throws NatsError */
async function manager(link: Link): Promise<JetStreamManager> {
  try {
    return await jetstreamManager(link.nc);
  } catch (error) {
    throw new NatsError(
      `JetStream is not enabled, or not for this user: ${(error as Error).message}`,
    );
  }
}

/**
 * What reads and subscriptions fail with, as gateways know it.
 * @throws anything else: it is a mistake in this program
 */
function toBrokerError(error: unknown): BrokerError {
  if (!(error instanceof LinkError)) throw error;
  return new BrokerError("unavailable", error.message, RETRY_AFTER_MS);
}
