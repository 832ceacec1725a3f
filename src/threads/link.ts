import type { Order } from "../gateway/orders.ts";
import { addStats } from "../stats/add.ts";
import { GatewayStats } from "../stats/gateway-stats.ts";
import { Channel } from "./channel.ts";
import type { Hub } from "./hub.ts";
import { Heartbeat } from "./heartbeat.ts";
import { LinkEvents } from "./link-events.ts";
import { LinkPlaces } from "./link-places.ts";
import {
  TO_HUB,
  TO_THREAD,
  type Part,
  type ToHub,
  type ToThread,
} from "./wire.ts";

/** What one gateway has in memory. */
export interface GatewayFigures {
  readonly connections: number;
  readonly rooms: number;
}

/** A scraper waits for ten seconds, mostly. */
const STATS_MS = 1000;

/** One gateway thread, as the hub sees it. */
export class Link {
  readonly events: LinkEvents;
  readonly places: LinkPlaces;
  readonly channel: Channel<ToThread, ToHub>;
  readonly heartbeat = new Heartbeat();
  /** Resolve when the thread has said so, or is gone. */
  readonly drained = Promise.withResolvers<void>();
  readonly stopped = Promise.withResolvers<void>();
  readonly #inspections = new Map<number, (figures: GatewayFigures) => void>();
  #inspection = 0;
  readonly #orders = new Map<number, (reached: number) => void>();
  #order = 0;
  /** What the thread's gateway had counted when it was last asked. */
  stats = new GatewayStats();
  readonly #counts = new Map<number, () => void>();
  #count = 0;

  /** @param maxBytes what may be under way to the thread; tests make it small */
  constructor(
    private readonly hub: Hub,
    post: (batch: Part[]) => void,
    maxBytes?: number,
  ) {
    this.events = new LinkEvents(hub, this);
    this.places = new LinkPlaces(hub, this);
    this.channel = new Channel<ToThread, ToHub>({
      post,
      out: TO_THREAD,
      in: TO_HUB,
      handlers: {
        ...this.events.calls,
        ...this.places.calls,
        api: (number, method, path, query, idempotencyKey, body) => {
          const request = { method, path, query, idempotencyKey, body };
          void hub.api(request).then(({ status, body, headers }) => {
            const { channel } = this;
            channel.send(
              "apiAnswered",
              number,
              status,
              body,
              JSON.stringify(headers),
            );
          });
        },
        inspected: (number, connections, rooms) => {
          this.#inspections.get(number)?.({ connections, rooms });
          this.#inspections.delete(number);
        },
        carriedOut: (number, reached) => {
          this.#orders.get(number)?.(reached);
          this.#orders.delete(number);
        },
        counted: (number, stats) => {
          this.stats = JSON.parse(stats) as GatewayStats;
          this.#counts.get(number)?.();
          this.#counts.delete(number);
        },
        metrics: (number) =>
          void hub
            .metrics()
            .then((text) => this.channel.send("metrics", number, text)),
        log: (line) => hub.logSink.write(line),
        drained: () => this.drained.resolve(),
        stopped: () => this.stopped.resolve(),
        alive: () => this.heartbeat.answered(),
      },
      // A task brings a batch of a thread, or a commit: what it leads to goes out at its end.
      later: queueMicrotask,
      acknowledged: () => {
        this.places.catchUp();
        void this.events.catchUp();
      },
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
    hub.links.add(this);
    for (const sanction of hub.sanctions.all())
      void this.carryOut({ act: "sanction", ...sanction });
  }

  /** A note to the members who are there; it is not worth much, and left out where the thread has fallen behind. */
  note(room: string, user: string, from: string, active: boolean): void {
    if (!this.channel.full) this.channel.send("note", room, user, from, active);
  }

  /** What the thread's gateway has in memory, after all that it said before. */
  inspect(): Promise<GatewayFigures> {
    return new Promise((resolve) => {
      this.#inspections.set(++this.#inspection, resolve);
      this.channel.send("inspect", this.#inspection);
    });
  }

  /** @returns how many connections of the thread it was about; 0 where the thread ends before it answers */
  carryOut(order: Order): Promise<number> {
    return new Promise((resolve) => {
      this.#orders.set(++this.#order, resolve);
      this.channel.send("carryOut", this.#order, JSON.stringify(order));
    });
  }

  /** Lets the thread tell what it has counted; resolves when it has, or does not answer in time. */
  async refreshStats(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const number = ++this.#count;
    this.#counts.set(number, resolve);
    const timer = setTimeout(resolve, STATS_MS);
    this.channel.send("stats", number);
    await promise;
    clearTimeout(timer);
    this.#counts.delete(number);
  }

  /** The thread is gone: what it held is free. */
  close(): void {
    this.channel.close();
    // The sum over all threads must not fall: a scraper would take it for a new start.
    if (this.hub.links.delete(this)) addStats(this.hub.stats, this.stats);
    this.events.close();
    this.places.close();
    this.drained.resolve();
    this.stopped.resolve();
    for (const resolve of this.#inspections.values())
      resolve({ connections: 0, rooms: 0 });
    this.#inspections.clear();
    for (const resolve of this.#orders.values()) resolve(0);
    this.#orders.clear();
    for (const resolve of this.#counts.values()) resolve();
    this.#counts.clear();
  }
}
