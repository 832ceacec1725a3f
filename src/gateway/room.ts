import type { Rights } from "../auth/rights.ts";
import type { Broker } from "../broker/broker.ts";
import { Deque } from "../collections/deque.ts";
import type { Config } from "../config/options.ts";
import type { User } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import type { Entry, Origin } from "./entry.ts";
import { Ring, RingBudget } from "./ring.ts";
import { Slices, type Slice } from "./slices.ts";

/** A connection in a room. */
export interface Membership {
  readonly room: Room;
  readonly slice: Slice;
  /** Whether the connection receives what it sent itself. */
  readonly echo: boolean;
  /** What the connection may do in the room: looked up when it joins, so that no message costs a comparison of names. */
  rights: Rights;
  /** Until when its user may not send here, as ms since 1970; 0: it may. */
  mutedUntil: number;
}

/** A join under way. */
export interface Arriving {
  readonly user: string;
  /** Whether the members were told of its coming, of whom it was none yet. */
  told: boolean;
}

/** As many as are served without a thought for fairness: some 100 µs. */
const FEW_MEMBERS = 16;

const MAX_PENDING_FOR_NOTES = 50;

let lives = 0;

/** What this process knows of a room while somebody needs it. */
export class Room {
  readonly slices: Slices;
  readonly ring: Ring;
  /** What not every slice has been given yet. */
  readonly pending = new Deque<Entry>();
  /** Bytes of `pending`, about. */
  pendingBytes = 0;
  /** Seq of the last delivered event. */
  head = 0;
  /** Joiners who are ahead of this gateway. Bounded: a connection joins one room at a time. */
  #ahead: { readonly seq: number; readonly resolve: () => void }[] | undefined;
  /** Joins under way of users who were counted as present when these began. Bounded in the same way. */
  readonly #arriving = new Set<Arriving>();
  /** Publishes that are not settled. */
  publishing = 0;
  /** Whether the fan-out has it in its queue. */
  queued = false;
  /** Joins under way and members: while there are any, the room stays. */
  holds = 0;
  /** Settles when the broker delivers this room. */
  ready: Promise<void> = Promise.resolve();
  /** Another one after each deletion: what was read under an earlier one may hold what was deleted. */
  life = ++lives;

  constructor(
    readonly name: string,
    private readonly config: Config,
    ringBudget: RingBudget,
  ) {
    this.slices = new Slices(name, config.sliceMembers);
    this.ring = new Ring(
      Math.min(config.ringEventsPerRoom, config.retentionEventsPerRoom),
      ringBudget,
    );
  }

  get idle(): boolean {
    return (
      this.holds === 0 && this.publishing === 0 && this.pending.length === 0
    );
  }

  /** The codecs that members use: bit `1 << codec.index` for each. */
  get codecs(): number {
    return this.slices.codecs;
  }

  /** A note is not worth a message: with much waiting, it is left out. */
  get tooBusyForNotes(): boolean {
    return this.pending.length >= MAX_PENDING_FOR_NOTES;
  }

  /** The slice of a room that has one with few members, and nothing waiting for it. */
  get onlySmallSlice(): Slice | undefined {
    if (this.slices.length !== 1 || this.pending.length > 0) return undefined;
    const slice = this.slices.all[0]!;
    return slice.members <= FEW_MEMBERS ? slice : undefined;
  }

  /**
   * Whether it receives more than its fan-out can carry: more must not be taken.
   * @param now `performance.now()`
   */
  overloaded(now: number): boolean {
    return (
      this.pending.length + this.publishing >= this.config.overloadEvents ||
      this.behind(now)
    );
  }

  /** Whether what it was given already is more than its fan-out can carry. */
  behind(now: number): boolean {
    const { pending, config } = this;
    return (
      pending.length >= config.overloadEvents ||
      this.pendingBytes >= config.overloadBytes ||
      (pending.length > 0 &&
        now - pending.at(pending.start).at >= config.overloadMs)
    );
  }

  /** An event of this seq was delivered. */
  advance(seq: number): void {
    this.head = seq;
    if (!this.#ahead) return;
    const still = this.#ahead.filter((waiting) => waiting.seq > seq);
    for (const waiting of this.#ahead)
      if (waiting.seq <= seq) waiting.resolve();
    this.#ahead = still.length > 0 ? still : undefined;
  }

  /** A user is counted as present, and will be a member when it has its place. Ended by `arrived`. */
  arrive(user: string): Arriving {
    const arriving = { user, told: false };
    this.#arriving.add(arriving);
    return arriving;
  }

  arrived(arriving: Arriving): void {
    this.#arriving.delete(arriving);
  }

  /** The members were told of these users; undefined: of nobody by name. */
  presenceTold(joined: readonly User[] | undefined): void {
    for (const arriving of this.#arriving)
      arriving.told ||=
        !joined || joined.some(({ id }) => id === arriving.user);
  }

  /** A message was deleted: what is kept here of it is kept no longer. Who was sent it already is told by an event. */
  bury(target: number): void {
    this.life = ++lives;
    this.ring.find(target)?.bury(this.name);
    const { pending } = this;
    for (let i = pending.start; i < pending.end; i++)
      if (pending.at(i).seq === target) pending.at(i).bury(this.name);
  }

  /** Resolves when the head is at `seq`, or after so many ms. @returns whether it is */
  async reach(seq: number, timeoutMs: number): Promise<boolean> {
    if (this.head >= seq) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { seq, resolve };
    (this.#ahead ??= []).push(waiting);
    const timer = setTimeout(() => {
      const at = this.#ahead?.indexOf(waiting) ?? -1;
      if (at >= 0) this.#ahead!.splice(at, 1);
      resolve();
    }, timeoutMs);
    await promise;
    clearTimeout(timer);
    return this.head >= seq;
  }

  /** Puts a connection into a slice, from whose position on it gets events. */
  add(
    connection: Connection,
    slice: Slice,
    echo: boolean,
    rights: Rights,
    mutedUntil = 0,
  ): Membership {
    const membership: Membership = {
      room: this,
      slice,
      echo,
      rights,
      mutedUntil,
    };
    this.slices.join(slice, connection.codec.index);
    connection.socket.subscribe(slice.topics[connection.codec.index]!);
    connection.memberships.set(this.name, membership);
    return membership;
  }

  /**
   * Takes a connection out. Whatever is to follow the room's events must have been sent before: a send takes along what
   * waits in the topic tree, but no longer after the last unsubscribe. On a closed socket there is nothing to
   * unsubscribe.
   */
  remove(connection: Connection, membership: Membership): void {
    connection.memberships.delete(this.name);
    this.leaveSlice(connection, membership.slice);
  }

  /** After an `add` that moved a member: takes it out of the slice it was in before. */
  leaveSlice(connection: Connection, slice: Slice): void {
    const { index } = connection.codec;
    this.slices.leave(slice, index);
    const stays = connection.memberships.get(this.name)?.slice === slice;
    if (!stays && !connection.closed)
      connection.socket.unsubscribe(slice.topics[index]!);
  }
}

/** The rooms in memory. A room nobody needs leaves after a while, or at once when there are many such. */
export class Rooms {
  readonly #rooms = new Map<string, Room>();
  /** Rooms nobody needs, and since when, longest first. */
  readonly #idle = new Map<Room, number>();
  readonly #ringBudget: RingBudget;

  constructor(
    private readonly config: Config,
    private readonly broker: Pick<Broker<Origin>, "subscribe" | "unsubscribe">,
  ) {
    this.#ringBudget = new RingBudget(config.ringBytes);
  }

  get count(): number {
    return this.#rooms.size;
  }

  get(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  /** Gives the room, made if need be, and holds it: a `release` must follow. Await its `ready` before using it. */
  hold(name: string): Room {
    let room = this.#rooms.get(name);
    if (!room) {
      const fresh = new Room(name, this.config, this.#ringBudget);
      room = fresh;
      this.#rooms.set(name, fresh);
      fresh.ready = this.broker.subscribe(name).then(
        (head) => {
          // Events may have come between the broker's answer and now.
          if (head > fresh.head) fresh.advance(head);
        },
        (error: unknown) => {
          // Whoever asks next tries anew.
          if (this.#rooms.get(name) === fresh) this.#rooms.delete(name);
          throw error;
        },
      );
    }
    room.holds++;
    this.#idle.delete(room);
    return room;
  }

  release(room: Room): void {
    room.holds--;
    this.settle(room);
  }

  /** To be called when something that kept the room ended. */
  settle(room: Room): void {
    if (
      !room.idle ||
      this.#rooms.get(room.name) !== room ||
      this.#idle.has(room)
    )
      return;
    this.#idle.set(room, performance.now());
    if (this.#idle.size > this.config.maxIdleRooms)
      this.#forget(this.#idle.keys().next().value!);
  }

  /** Forgets rooms that were idle for long. */
  sweep(now: number): void {
    for (const [room, since] of this.#idle) {
      if (now - since < this.config.idleRoomMs) return;
      this.#forget(room);
    }
  }

  #forget(room: Room): void {
    this.#idle.delete(room);
    this.#rooms.delete(room.name);
    room.ring.clear();
    this.broker.unsubscribe(room.name);
  }
}
