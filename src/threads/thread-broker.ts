import {
  BrokerError,
  type Broker,
  type Done,
  type Draft,
  type Page,
  type Published,
  type Range,
} from "../broker/broker.ts";
import { Entry } from "../gateway/entry.ts";
import type { Channel } from "./channel.ts";
import { JSON_BIT } from "./hub-room.ts";
import { Requests } from "./requests.ts";
import type { ToHub, ToThread } from "./wire.ts";

/** What the gateway in this thread has of a room. */
export interface ThreadRoom {
  /** What its members use: bit `1 << codec.index` for each. */
  readonly codecs: number;
  /** Whether what it was given is more than its fan-out can carry. */
  behind(now: number): boolean;
}

/**
 * Takes an event to the room's members here.
 * @param target the message that it tells the deletion of; 0 for none
 * @returns the room; undefined where it is not in memory
 */
export type DeliverEntry<Origin> = (
  room: string,
  entry: Entry,
  origin: Origin | undefined,
  target: number,
) => ThreadRoom | undefined;

interface Subscribed {
  readonly number: number;
  readonly room: string;
  /** What the hub was told that members use. */
  codecs: number;
}

interface Publish<Origin> {
  readonly draft: Draft;
  readonly origin: Origin;
  readonly done: Done<Origin>;
}

const RETRY_AFTER_MS = 500;
/** How often rooms that were overloaded are looked at again. */
const OVERLOADED_CHECK_MS = 20;

/** The hub's broker, as a gateway thread has it. Origins stay here: only the publish's number crosses. */
export class ThreadBroker<Origin> implements Broker<Origin> {
  ready = true;
  readonly #byNumber = new Map<number, Subscribed>();
  readonly #byRoom = new Map<string, Subscribed>();
  /** Of all kinds, so that a number tells what failed. */
  readonly #requests = new Requests();
  readonly #publishes = new Map<number, Publish<Origin>>();
  #lastPublish = 0;
  /** Of the next event. */
  #ts = 0;
  #prev: number | undefined;
  #target = 0;
  /** Rooms that the hub was told are overloaded here. */
  readonly #overloaded = new Map<Subscribed, ThreadRoom>();

  constructor(
    readonly epoch: string,
    private readonly channel: () => Channel<ToHub, ToThread>,
    private readonly deliver: DeliverEntry<Origin>,
    private readonly maxPublishes: number,
  ) {}

  publish(draft: Draft, origin: Origin, done: Done<Origin>): void {
    const channel = this.channel();
    if (this.#publishes.size >= this.maxPublishes || channel.full) {
      const message = "too many events wait for the store";
      done(
        draft,
        origin,
        new BrokerError("overloaded", message, RETRY_AFTER_MS),
      );
      return;
    }
    const number = ++this.#lastPublish;
    this.#publishes.set(number, { draft, origin, done });
    const { room, user, from, text, id, dataJson } = draft;
    channel.send("publish", number, room, user, from, text, id, dataJson);
  }

  subscribe(room: string): Promise<number> {
    return this.#requests.ask((number) => {
      const subscribed = { number, room, codecs: JSON_BIT };
      this.#byNumber.set(number, subscribed);
      this.#byRoom.set(room, subscribed);
      this.channel().send("subscribe", number, room);
    });
  }

  unsubscribe(room: string): void {
    const subscribed = this.#byRoom.get(room);
    if (!subscribed) return;
    this.#forget(subscribed);
    this.channel().send("unsubscribe", subscribed.number);
  }

  reaches(room: string, seq: number): Promise<boolean> {
    return this.#requests.ask((number) =>
      this.channel().send("reaches", number, room, seq),
    );
  }

  read(room: string, range: Range): Promise<Page> {
    const { after, upto, take, limit, bytes } = range;
    return this.#requests.ask((number) =>
      this.channel().send(
        "read",
        number,
        room,
        after,
        upto,
        take,
        limit,
        bytes,
      ),
    );
  }

  flush(): Promise<void> {
    return this.#requests.ask((number) => this.channel().send("flush", number));
  }

  /** The store is the hub's to close. */
  async close(): Promise<void> {
    await this.flush();
  }

  readonly calls: Pick<
    ToThread,
    | "event"
    | "time"
    | "prev"
    | "target"
    | "published"
    | "unpublished"
    | "subscribed"
    | "page"
    | "reached"
    | "flushed"
    | "ready"
    | "failed"
  > = {
    event: (number, seq, publish, json, msgpack, text) => {
      const ts = this.#ts;
      const prev = this.#prev ?? seq - 1;
      this.#prev = undefined;
      const target = this.#target;
      this.#target = 0;
      const own = publish > 0 ? this.#takePublish(publish) : undefined;
      const subscribed = this.#byNumber.get(number);
      if (subscribed) {
        const now = performance.now();
        const event = { seq, prev, ts, json, msgpack, text };
        const room = this.deliver(
          subscribed.room,
          Entry.encoded(event, now),
          own?.origin,
          target,
        );
        if (room) this.#tell(subscribed, room, now);
      }
      own?.done(own.draft, own.origin, { seq, ts, duplicate: false });
    },

    time: (ts) => {
      this.#ts = ts;
    },

    prev: (prev) => {
      this.#prev = prev;
    },

    target: (target) => {
      this.#target = target;
    },

    published: (number, seq, ts, duplicate) =>
      this.#settle(number, { seq, ts, duplicate }),

    unpublished: (number, code, message, retryAfterMs) =>
      this.#settle(number, new BrokerError(code, message, retryAfterMs)),

    subscribed: (number, head) => this.#requests.answer(number, head),

    page: (number, page) => this.#requests.answer(number, JSON.parse(page)),

    reached: (number, reached) => this.#requests.answer(number, reached),

    ready: (ready) => {
      this.ready = ready;
    },

    flushed: (number) => this.#requests.answer(number, undefined),

    failed: (number, code, message, retryAfterMs) => {
      const error = new BrokerError(code, message, retryAfterMs);
      const subscribed = this.#byNumber.get(number);
      if (subscribed) this.#forget(subscribed);
      this.#requests.fail(number, error);
    },
  };

  /** Tells the hub what it must know of a room: for which formats to encode, and whether to refuse more. */
  #tell(subscribed: Subscribed, room: ThreadRoom, now: number): void {
    const { codecs } = room;
    // Without members nothing is worth a word.
    if (codecs !== subscribed.codecs && codecs !== 0) {
      subscribed.codecs = codecs;
      this.channel().send("codecs", subscribed.number, codecs);
    }
    if (!room.behind(now) || this.#overloaded.has(subscribed)) return;
    this.#overloaded.set(subscribed, room);
    this.channel().send("overloaded", subscribed.number, true);
    if (this.#overloaded.size === 1)
      setTimeout(this.#checkOverloaded, OVERLOADED_CHECK_MS);
  }

  readonly #checkOverloaded = (): void => {
    const now = performance.now();
    for (const [subscribed, room] of this.#overloaded) {
      if (room.behind(now)) continue;
      this.#overloaded.delete(subscribed);
      this.channel().send("overloaded", subscribed.number, false);
    }
    if (this.#overloaded.size > 0)
      setTimeout(this.#checkOverloaded, OVERLOADED_CHECK_MS);
  };

  #forget(subscribed: Subscribed): void {
    const { number, room } = subscribed;
    this.#byNumber.delete(number);
    if (this.#byRoom.get(room) === subscribed) this.#byRoom.delete(room);
    this.#overloaded.delete(subscribed);
  }

  #takePublish(number: number): Publish<Origin> | undefined {
    const publish = this.#publishes.get(number);
    this.#publishes.delete(number);
    return publish;
  }

  #settle(number: number, outcome: Published | BrokerError): void {
    const publish = this.#takePublish(number);
    publish?.done(publish.draft, publish.origin, outcome);
  }
}
