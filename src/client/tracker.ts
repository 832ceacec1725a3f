import type { Position } from "../protocol/messages.ts";
import type { EventFrame } from "./types.ts";

/** Events that wait while a hole is filled, at most. Beyond it, coming back from the position costs less. */
export const MAX_HELD = 1000;

/** An ack that is no duplicate: it stands for its event. */
export interface Stored {
  readonly seq: number;
  readonly action?: undefined;
  /** To be called in its place among the events. */
  readonly done: () => void;
}

type Item = EventFrame | Stored;

/** What is to be done after a frame. */
export interface Step {
  /** For the application, in order. */
  readonly deliver: readonly Item[];
  /** `page`: ask for history after `seq`. `rejoin`: join again from `seq`. */
  readonly then?: "page" | "rejoin" | undefined;
}

/** The part of `room_joined` that counts here. */
export interface JoinReply {
  readonly epoch: string;
  readonly seq: number;
  readonly recovered: boolean;
  readonly more: boolean;
  readonly messages: readonly EventFrame[];
}

const NOTHING: Step = { deliver: [] };

/**
 * The position in a room, and what keeps it true: repeats are dropped, holes are filled before what follows them goes
 * on. Knows no sockets and no time; the rules are those of src/protocol/README.md, "Positions and resuming".
 *
 * - `out`: not in the room; what comes is of a former membership, and comes again with the next join
 * - `catching`: something is missing below `#upto`; what comes live is held
 * - `live`
 */
export class Tracker {
  declare epoch: string | undefined;
  /** The last event that was given out, or stands for an ack. */
  seq = 0;
  #phase: "out" | "catching" | "live" = "out";
  /** Catching up ends when the position is here… */
  #upto = 0;
  /** …and takes events up to here; later ones are held, or come live. */
  #last = 0;
  #held: Item[] = [];

  constructor(since: Position | undefined) {
    this.epoch = since?.epoch;
    this.seq = since?.seq ?? 0;
  }

  get since(): Position | undefined {
    return this.epoch === undefined
      ? undefined
      : { epoch: this.epoch, seq: this.seq };
  }

  /** The connection is gone, or another join is on its way. */
  leave(): void {
    this.#phase = "out";
    this.#held = [];
  }

  /** The server has let us in, but its reply is to be taken later: holds what comes until then. */
  wait(): void {
    this.#phase = "catching";
    this.#upto = this.#last = Infinity;
  }

  /** @returns whether what came before `reply` is lost: then its messages are for the application to start from */
  joined(reply: JoinReply): Step & { readonly reset: boolean } {
    const recovered = reply.recovered && reply.epoch === this.epoch;
    const reset = !recovered && this.epoch !== undefined;
    if (!recovered) this.seq = 0;
    const deliver: Item[] = reset
      ? []
      : reply.messages.filter((event) => event.seq > this.seq);
    this.epoch = reply.epoch;
    this.seq =
      recovered && reply.more ? (deliver.at(-1)?.seq ?? this.seq) : reply.seq;
    this.#upto = this.#last = reply.seq;
    return { ...this.#advance(deliver), reset };
  }

  /**
   * An event that came live, or an ack. Acks come in their place among the room's events: after the event itself, or,
   * without an echo, instead of it.
   */
  take(item: Item): Step {
    if (this.#phase === "out") return NOTHING;
    if (this.#held.push(item) > MAX_HELD)
      return { deliver: [], then: "rejoin" };
    return this.#phase === "live" ? this.#advance([]) : NOTHING;
  }

  /** History after `seq`, as it was asked for. */
  page(messages: readonly EventFrame[]): Step {
    const deliver: EventFrame[] = [];
    for (const event of messages) {
      if (event.seq <= this.seq) continue;
      // Retention took what lies between: only a join can tell what is to become of it.
      if (event.seq > this.#last || prevOf(event) > this.seq) break;
      deliver.push(event);
      this.seq = event.seq;
    }
    if (deliver.length === 0 && this.seq < this.#upto)
      return { deliver, then: "rejoin" };
    return this.#advance(deliver);
  }

  /** With everything up to `#upto`, goes on with what is held, to the next hole or to the end. */
  #advance(deliver: Item[]): Step {
    while (this.seq >= this.#upto) {
      const item = this.#held[0];
      if (!item) {
        this.#phase = "live";
        return { deliver };
      }
      const prev = prevOf(item);
      if (item.action && prev > this.seq) {
        this.#upto = prev;
        this.#last = item.seq - 1;
      } else {
        if (!item.action || item.seq > this.seq) deliver.push(item);
        this.seq = Math.max(this.seq, item.seq);
        this.#held.shift();
      }
    }
    this.#phase = "catching";
    return { deliver, then: "page" };
  }
}

function prevOf(item: Item): number {
  return item.action ? (item.prev ?? item.seq - 1) : 0;
}
