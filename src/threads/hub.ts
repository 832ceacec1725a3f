import type { ApiHandler } from "../api/front.ts";
import type { Backend, BackendListener } from "../backend/backend.ts";
import { BrokerError, type Done } from "../broker/broker.ts";
import type { Config } from "../config/options.ts";
import type { Order, Reach } from "../gateway/orders.ts";
import { Sanctions } from "../gateway/sanctions.ts";
import type { LogSink } from "../logging/logger.ts";
import { GatewayStats } from "../stats/gateway-stats.ts";
import type { Typing } from "../protocol/messages.ts";
import { Frames, HubRoom } from "./hub-room.ts";
import type { Link } from "./link.ts";
import type { HubOrigin } from "./link-events.ts";

/**
 * The main thread's part where gateways have threads of their own: the broker and the directory of them all. It has no
 * sockets. An event crosses to a thread once, and only to threads with members of its room.
 */
export class Hub implements BackendListener<HubOrigin>, Reach {
  readonly links = new Set<Link>();
  readonly #rooms = new Map<string, HubRoom>();
  /** Set before the first link. */
  backend!: Pick<Backend<HubOrigin>, "broker" | "directory">;
  /** What this thread counts, and what threads did that are gone. */
  readonly stats = new GatewayStats();
  /** The text of `/metrics`; set before the first link. */
  metrics: () => Promise<string> = () => Promise.reject(new Error("not set"));

  /** What every thread's gateway has to know. Filled before the first link. */
  readonly sanctions = new Sanctions();
  /** The HTTP API, for all threads. Set before the first link. */
  api!: ApiHandler;

  constructor(
    readonly config: Config,
    /** For what threads log. */
    readonly logSink: LogSink,
  ) {}

  get broker(): Backend<HubOrigin>["broker"] {
    return this.backend.broker;
  }

  get directory(): Backend<HubOrigin>["directory"] {
    return this.backend.directory;
  }

  /** Connections with a user, of all threads. */
  get connections(): number {
    let connections = 0;
    for (const { places } of this.links) connections += places.users;
    return connections;
  }

  readonly deliver: BackendListener<HubOrigin>["deliver"] = (event, origin) => {
    const room = this.#rooms.get(event.room);
    if (!room) return;
    room.head = event.seq;
    const frames = new Frames(event, this.stats.encodes);
    for (const subscription of room.subscriptions)
      subscription.events.event(subscription, frames, origin);
  };

  readonly hindrance: BackendListener<HubOrigin>["hindrance"] = (draft) =>
    this.sanctions.hindrance(draft, Date.now());

  /** What a publish ended with; a new event has told its sender's thread already, if that is subscribed. */
  readonly published: Done<HubOrigin> = (_draft, origin, outcome) => {
    if (outcome instanceof BrokerError || !origin.carried)
      origin.events.settle(origin.number, outcome);
  };

  readonly presenceChanged: BackendListener<HubOrigin>["presenceChanged"] = (
    name,
    change,
  ) => {
    for (const { events } of this.#rooms.get(name)?.subscriptions ?? [])
      events.link.places.presenceChanged(name, change);
  };

  /** Counts are told at once: some answers of a gateway hold one, and do not ask for it. */
  countChanged(name: string): void {
    for (const { events } of this.#rooms.get(name)?.subscriptions ?? [])
      events.link.places.countChanged(name);
  }

  /** A note from another server: for all threads with members of the room. */
  readonly note: BackendListener<HubOrigin>["note"] = (note) =>
    this.#tell(note, undefined);

  /** Passes a note of one thread on to whoever else has members of the room. */
  relay(from: Link, note: Typing): void {
    this.#tell(note, from);
    this.directory.relay(note);
  }

  #tell({ room, user, from, active }: Typing, except: Link | undefined): void {
    for (const { events } of this.#rooms.get(room)?.subscriptions ?? [])
      if (events.link !== except) events.link.note(room, user, from, active);
  }

  /** Resolves when all threads have carried it out. */
  async carryOut(order: Order): Promise<number> {
    const reached = await Promise.all(
      [...this.links].map((link) => link.carryOut(order)),
    );
    return reached.reduce((sum, count) => sum + count, 0);
  }

  /** Whether a room receives more than some thread can carry. */
  overloaded(name: string): boolean {
    const room = this.#rooms.get(name);
    return !!room && room.overloaded(this.config, performance.now());
  }

  /** Rooms with members in some thread. */
  get roomCount(): number {
    return this.#rooms.size;
  }

  room(name: string): HubRoom | undefined {
    return this.#rooms.get(name);
  }

  /** Gives the room, made if need be, and holds it: a `release` must follow. Await its `ready` before using it. */
  hold(name: string): HubRoom {
    let room = this.#rooms.get(name);
    if (!room) {
      const fresh = new HubRoom(name);
      room = fresh;
      this.#rooms.set(name, fresh);
      fresh.ready = this.broker.subscribe(name).then((head) => {
        // Events may have come between the broker's answer and now.
        if (head > fresh.head) fresh.head = head;
      });
    }
    room.holds++;
    return room;
  }

  release(room: HubRoom): void {
    if (--room.holds > 0) return;
    this.#rooms.delete(room.name);
    this.broker.unsubscribe(room.name);
  }
}
