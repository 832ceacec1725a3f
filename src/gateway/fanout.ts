import { CODECS } from "../protocol/codecs.ts";
import type { MessageSent } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import type { Entry, Origin } from "./entry.ts";
import type { Outlet } from "./outlet.ts";
import type { Room } from "./room.ts";
import type { Slice } from "./slices.ts";

/**
 * `Bun.serve`'s publish: one copy into the topic tree, one write per socket and loop turn.
 * @param except who is not sent it, although it subscribes to the topic
 */
export type Publish = (
  topic: string,
  frame: string | Uint8Array,
  compress: boolean,
  except?: Connection,
) => number;

/**
 * Takes events to the members' sockets, fairly: in one turn of the event loop each waiting room is given one slice, and
 * rooms of several slices only one slice among them all. A room of thousands then costs the others one slice of delay:
 * the p99 of small rooms beside it fell from 46 to 4 ms.
 */
export class Fanout {
  /** Rooms with entries for at least one slice, in turn. */
  #queue: Room[] = [];
  #scheduled = false;

  constructor(
    private readonly publish: Publish,
    private readonly outlet: Outlet,
    private readonly epoch: () => string,
    /** Called when a room has delivered everything. */
    private readonly onSettled: (room: Room) => void,
  ) {}

  /** An event that the broker delivered, for a room in memory. */
  deliver(room: Room, entry: Entry, origin: Origin | undefined): void {
    entry.origin = origin;
    if (origin) entry.cameAt = origin.at;
    room.advance(entry.seq);
    room.ring.push(entry);
    const slice = room.onlySmallSlice;
    if (!slice) {
      this.push(room, entry);
      return;
    }
    // Nothing waits and there are few members: the queue would only cost.
    this.#giveEntry(room, slice, entry);
    if (entry.origin) this.#acknowledge(room, entry);
    entry.settle();
    // Delivered a moment ago: its own time is near enough.
    this.#delivered(entry, entry.at);
  }

  /** Queues an entry for all members. */
  push(room: Room, entry: Entry): void {
    room.pending.push(entry);
    room.pendingBytes += entry.bytes;
    if (room.queued) return;
    room.queued = true;
    this.#queue.push(room);
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A microtask: everything one commit delivers is queued first, and still leaves in this turn of the loop.
    queueMicrotask(this.#turn);
  }

  /**
   * Sends the acks of a connection for what the slice it just joined has been given already: the slice will not come to
   * these events again. They follow the reply that holds the events: an ack before it would be an ack before a hole.
   */
  acknowledgeUpTo(room: Room, connection: Connection, slice: Slice): void {
    const { pending } = room;
    for (let i = pending.start; i < slice.cursor; i++) {
      const entry = pending.at(i);
      if (entry.origin?.connection === connection)
        this.#acknowledge(room, entry);
    }
  }

  readonly #turn = (): void => {
    const waiting = this.#queue;
    this.#queue = [];
    const served: Room[] = [];
    let large = 0;
    for (const room of waiting) {
      if (room.slices.length > 1 && large++ > 0) {
        this.#queue.push(room);
        continue;
      }
      const slice = room.slices.next(room.pending.end);
      if (slice) this.#give(room, slice);
      this.#dropDone(room);
      if (room.pending.length > 0) served.push(room);
      else {
        room.queued = false;
        this.onSettled(room);
      }
    }
    // Behind those that had none, or two large rooms would not alternate.
    for (const room of served) this.#queue.push(room);
    this.#scheduled = this.#queue.length > 0;
    if (this.#scheduled) setImmediate(this.#turn);
  };

  /** Publishes to a slice everything it has not been given. */
  #give(room: Room, slice: Slice): void {
    const { pending } = room;
    for (let i = slice.cursor; i < pending.end; i++)
      this.#giveEntry(room, slice, pending.at(i));
    slice.cursor = pending.end;
  }

  #giveEntry(room: Room, slice: Slice, entry: Entry): void {
    const sender = entry.origin?.connection;
    const membership = sender?.memberships.get(room.name);
    const here = membership?.slice === slice;
    // A note (seq 0) never goes back to who caused it.
    const hidden = here && (entry.seq === 0 || !membership!.echo);
    const { stats } = this.outlet;
    for (const codec of CODECS) {
      const { index } = codec;
      const members = slice.counts[index]!;
      if (members === 0) continue;
      const frame = entry.frame(codec, stats.encodes);
      if (frame === null) continue;
      const topic = slice.topics[index]!;
      const except = hidden && sender!.codec === codec ? sender : undefined;
      const reached = except ? members - 1 : members;
      if (reached === 0) continue;
      const sent = this.publish(topic, frame, false, except);
      this.outlet.sent(sent, frame, reached);
      stats.deliveries[index]! += reached;
    }
    if (entry.seq > 0) slice.position = entry.seq;
    if (here) this.#acknowledge(room, entry);
  }

  /** Removes entries that every slice has been given. An ack whose sender is in no slice leaves now. */
  #dropDone(room: Room): void {
    const { pending } = room;
    const done = room.slices.lowest(pending.end);
    if (pending.start === done) return;
    const now = performance.now();
    while (pending.start < done) {
      const entry = pending.shift()!;
      room.pendingBytes -= entry.bytes;
      if (entry.origin) this.#acknowledge(room, entry);
      entry.settle();
      this.#delivered(entry, now);
    }
  }

  /** Every slice has been given it. */
  #delivered({ cameAt }: Entry, now: number): void {
    if (cameAt > 0) this.outlet.stats.deliveryUs.record((now - cameAt) * 1000);
  }

  /** Sends the ack in its place: after the sender's own copy, before the room's next event. */
  #acknowledge(room: Room, entry: Entry): void {
    const { connection, ref, id } = entry.origin!;
    entry.origin = undefined;
    const { seq, ts } = entry;
    if (seq === 0) return;
    acknowledge(connection, {
      action: "message_sent",
      ref,
      room: room.name,
      id,
      seq,
      epoch: this.epoch(),
      ts,
    });
  }
}

/** Sends an ack. Corked: with the sender's own copy, which waits in the topic tree, it makes one write instead of two. */
export function acknowledge(connection: Connection, ack: MessageSent): void {
  connection.sendCorked(ack);
}
