import {
  BrokerError,
  type Draft,
  type Published,
  type Range,
} from "../broker/broker.ts";
import type { Data } from "../protocol/messages.ts";
import type { Hub } from "./hub.ts";
import { Frames, Subscription } from "./hub-room.ts";
import type { Link } from "./link.ts";
import type { ToHub } from "./wire.ts";

/** Who published, of which thread. */
export interface HubOrigin {
  readonly events: LinkEvents;
  readonly number: number;
  /** The event itself settles the publish, or will, in the thread that it came from. */
  carried: boolean;
}

const RETRY_AFTER_MS = 500;
/** What is read at a time for a thread that missed events. */
const CATCH_UP: Pick<Range, "limit" | "bytes"> = {
  limit: 256,
  bytes: 1024 * 1024,
};

/** The broker's side of one gateway thread: its publishes in, a room's events out, each once and in order. */
export class LinkEvents {
  readonly #subscriptions = new Map<number, Subscription>();
  /** Those with something missed. */
  readonly #behind = new Set<Subscription>();
  /** Flushes that wait until the thread has what it missed, since that settles publishes too. */
  #flushes: number[] = [];
  #catchingUp = false;
  /** Time of the last event that was sent. */
  #ts = 0;
  #closed = false;

  constructor(
    private readonly hub: Hub,
    readonly link: Link,
  ) {}

  get rooms(): number {
    return this.#subscriptions.size;
  }

  readonly calls: Pick<
    ToHub,
    | "publish"
    | "subscribe"
    | "unsubscribe"
    | "codecs"
    | "overloaded"
    | "reaches"
    | "read"
    | "flush"
  > = {
    publish: (number, room, user, from, text, id, dataJson) => {
      const { hub } = this;
      if (hub.overloaded(room)) {
        this.#unpublished(number, overloaded(room));
        return;
      }
      const data =
        dataJson === undefined ? undefined : (JSON.parse(dataJson) as Data);
      const draft: Draft = { room, user, from, text, id, data, dataJson };
      const origin = { events: this, number, carried: false };
      hub.broker.publish(draft, origin, hub.published);
    },

    subscribe: (number, name) => {
      const room = this.hub.hold(name);
      const subscription = new Subscription(number, room, this);
      this.#subscriptions.set(number, subscription);
      room.ready.then(
        () => {
          // It may have been given up, or the thread be gone.
          if (this.#subscriptions.get(number) !== subscription) return;
          room.add(subscription);
          this.link.channel.send("subscribed", number, room.head);
        },
        (error: unknown) => {
          if (this.#subscriptions.delete(number)) this.hub.release(room);
          this.#failed(number, error);
        },
      );
    },

    unsubscribe: (number) => {
      const subscription = this.#subscriptions.get(number);
      if (subscription) this.#end(subscription);
    },

    codecs: (number, codecs) => {
      const subscription = this.#subscriptions.get(number);
      if (subscription) subscription.codecs = codecs;
    },

    overloaded: (number, isOverloaded) => {
      const subscription = this.#subscriptions.get(number);
      if (subscription) subscription.overloaded = isOverloaded;
    },

    read: (number, room, after, upto, take, limit, bytes) => {
      this.hub.broker.read(room, { after, upto, take, limit, bytes }).then(
        (page) => this.link.channel.send("page", number, JSON.stringify(page)),
        (error: unknown) => this.#failed(number, error),
      );
    },

    reaches: (number, room, seq) => {
      this.hub.broker.reaches(room, seq).then(
        (reached) => this.link.channel.send("reached", number, reached),
        (error: unknown) => this.#failed(number, error),
      );
    },

    flush: (number) => {
      void this.hub.broker.flush().then(() => {
        this.#flushes.push(number);
        if (this.#behind.size === 0) this.#settleFlushes();
      });
    },
  };

  /** An event of a room that this thread is subscribed to. */
  event(
    subscription: Subscription,
    frames: Frames,
    /** Undefined where it was published elsewhere. */
    origin: HubOrigin | undefined,
  ): void {
    const isOwn = origin?.events === this;
    const own = isOwn ? origin.number : 0;
    if (isOwn) origin.carried = true;
    if (!subscription.missed && !this.link.channel.full) {
      this.#send(subscription, frames, own);
      return;
    }
    subscription.missed ??= {
      since: performance.now(),
      publishes: new Map(),
    };
    this.#behind.add(subscription);
    if (own > 0) subscription.missed.publishes.set(frames.event.seq, own);
  }

  /** A publish that no event settles. */
  settle(number: number, outcome: Published | BrokerError): void {
    if (outcome instanceof BrokerError) this.#unpublished(number, outcome);
    else {
      const { seq, ts, duplicate } = outcome;
      this.link.channel.send("published", number, seq, ts, duplicate);
    }
  }

  /** Sends what was missed, as far as the thread has room for it. To be called when it has taken something. */
  async catchUp(): Promise<void> {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    try {
      while (!this.#closed && this.link.channel.relieved) {
        const [subscription] = this.#behind;
        if (!subscription) {
          this.#settleFlushes();
          return;
        }
        await this.#sendMissed(subscription);
      }
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      // The store cannot read now. The thread may have nothing more to acknowledge: so it is tried again by the clock.
      setTimeout(() => void this.catchUp(), RETRY_AFTER_MS);
    } finally {
      this.#catchingUp = false;
    }
  }

  /** The thread is gone. */
  close(): void {
    this.#closed = true;
    for (const subscription of [...this.#subscriptions.values()])
      this.#end(subscription);
  }

  #send(subscription: Subscription, frames: Frames, own: number): void {
    const { event } = frames;
    const { codecs } = subscription;
    subscription.sent = event.seq;
    const { number } = subscription;
    const { channel } = this.link;
    const { seq, ts } = event;
    // Each part costs, also one that holds nothing: what is mostly the same, or mostly not there, is left out.
    if (ts !== this.#ts) channel.send("time", (this.#ts = ts));
    if (event.prev !== seq - 1) channel.send("prev", event.prev);
    // In a deleted message's place, the thread has nothing of it.
    if (event.target > 0 && event.target !== seq)
      channel.send("target", event.target);
    const json = frames.json(codecs);
    const msgpack = frames.msgpack(codecs);
    const text = frames.text(codecs);
    if (text !== undefined)
      channel.send("event", number, seq, own, json, msgpack, text);
    else if (msgpack) channel.send("event", number, seq, own, json, msgpack);
    else channel.send("event", number, seq, own, json);
  }

  async #sendMissed(subscription: Subscription): Promise<void> {
    const { room } = subscription;
    const upto = room.head;
    const page = await this.hub.broker.read(room.name, {
      ...CATCH_UP,
      after: subscription.sent,
      upto,
      take: "oldest",
    });
    const { missed } = subscription;
    if (!missed) return;
    for (const event of page.events) {
      const own = missed.publishes.get(event.seq) ?? 0;
      missed.publishes.delete(event.seq);
      this.#send(subscription, new Frames(event, this.hub.stats.encodes), own);
    }
    // What retention has removed is not there to be read.
    if (!page.more) subscription.sent = Math.max(subscription.sent, upto);
    for (const [seq, number] of missed.publishes) {
      if (seq > subscription.sent) break;
      missed.publishes.delete(seq);
      this.#unpublished(number, gone());
    }
    if (subscription.sent < room.head) return;
    subscription.missed = undefined;
    this.#behind.delete(subscription);
  }

  #end(subscription: Subscription): void {
    const { number, room, missed } = subscription;
    this.#subscriptions.delete(number);
    this.#behind.delete(subscription);
    subscription.missed = undefined;
    room.remove(subscription);
    this.hub.release(room);
    for (const own of missed?.publishes.values() ?? [])
      this.#unpublished(own, gone());
  }

  #settleFlushes(): void {
    for (const number of this.#flushes)
      this.link.channel.send("flushed", number);
    this.#flushes = [];
  }

  #unpublished(
    number: number,
    { code, message, retryAfterMs }: BrokerError,
  ): void {
    this.link.channel.send("unpublished", number, code, message, retryAfterMs);
  }

  /** @throws anything but a broker's failure: it is a mistake in this program */
  #failed(number: number, error: unknown): void {
    if (!(error instanceof BrokerError)) throw error;
    const { code, message, retryAfterMs } = error;
    this.link.channel.send("failed", number, code, message, retryAfterMs);
  }
}

const overloaded = (room: string): BrokerError =>
  new BrokerError(
    "overloaded",
    `room ${JSON.stringify(room)} receives more than it can pass on`,
    1000,
  );

/** Stored, and already removed again before its sender's thread could be told. */
const gone = (): BrokerError =>
  new BrokerError(
    "outcome_unknown",
    "the event is gone already; send again with the same id",
    RETRY_AFTER_MS,
  );
