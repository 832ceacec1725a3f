import { Deque } from "../../collections/deque.ts";
import type { Done, Draft } from "../broker.ts";
import type { Place } from "./subjects.ts";

/**
 * What is known of a publish. `open` are those whose attempt ended without a message in the stream, as far as is known:
 * refused, or without an answer.
 */
export type State = "waiting" | "sent" | "open" | "checking" | "stored";

/** A publish until it is settled. */
export class Pending<Origin> {
  state: State = "waiting";
  settled = false;
  /** Sent, and neither answered nor given up. */
  inFlight = false;
  attempts = 0;
  /** Attempts that NATS refused: surely not stored. */
  refusals = 0;
  sentAt = 0;
  /** A seq that the room had before the first attempt: this one's is above. Undefined where none is known. */
  above: number | undefined;
  seq = 0;
  /** Publishes of the same id while this one was under way. */
  repeats: { draft: Draft; origin: Origin; done: Done<Origin> }[] | undefined;

  constructor(
    readonly number: number,
    readonly lane: Lane<Origin>,
    readonly draft: Draft,
    /** Seq of the message of whose deletion it tells; 0: it is a message. */
    readonly target: number,
    readonly origin: Origin,
    readonly done: Done<Origin>,
    readonly key: string | undefined,
    readonly body: string,
    /** Of the body in UTF-8. */
    readonly bytes: number,
    /** `performance.now()` at which it must be settled. */
    readonly deadline: number,
  ) {}
}

/** The publishes of one room, in their order. */
export class Lane<Origin> {
  readonly waiting = new Deque<Pending<Origin>>();
  /** Sent at least once and not settled. */
  readonly sent = new Set<Pending<Origin>>();
  /** The highest seq of the room that is known; undefined where none is. */
  top: number | undefined;
  /** Number of the last publish that is known to be stored: none before it may be sent again. */
  storedNumber = 0;
  /** It has its turn ahead. */
  queued = false;
  /** An attempt failed: nothing new is sent until it is known what the stream holds. */
  troubled = false;
  recovering = false;
  recoveries = 0;
  retryAt = 0;

  constructor(readonly place: Place) {}

  get idle(): boolean {
    return this.sent.size === 0 && this.waiting.length === 0;
  }

  get first(): Pending<Origin> | undefined {
    for (const pending of this.sent) return pending;
    return undefined;
  }

  /** Whether no attempt is under way. */
  get quiet(): boolean {
    for (const { state } of this.sent)
      if (state === "sent" || state === "checking") return false;
    return true;
  }

  get open(): Pending<Origin>[] {
    return [...this.sent].filter(({ state }) => state === "open");
  }

  /** One whose seq was learned. */
  isStored(pending: Pending<Origin>, seq: number): void {
    pending.state = "stored";
    pending.seq = seq;
    this.storedNumber = Math.max(this.storedNumber, pending.number);
    this.top = Math.max(this.top ?? 0, seq);
  }
}
