import type { Stored } from "./stored.ts";
import type { Place } from "./subjects.ts";

/** Live messages that wait for a hole before them; what is more is read from the stream again. */
const MAX_HELD = 1024;
const MAX_HELD_BYTES = 4 * 1024 * 1024;

/**
 * One subscribed room: puts live messages and what is read from the stream into one log without hole or repeat. Pure: it
 * is told what arrives, and tells what it lacks.
 */
export class Feed {
  /** Seq up to which the room's log was taken. */
  #position = 0;
  /** Seq of the last event of it: what cannot be decoded is taken, but no event. */
  #follows = 0;
  #from = 0;
  #started = false;
  #held: Stored[] = [];
  #heldBytes = 0;
  /** Seq that is known to be in the stream. */
  #expected = 0;
  closed = false;
  /** A read from the stream is under way: what comes live waits for it. */
  healing = false;
  /** The stream's seq up to which the room's head was compared with what came live. */
  checked = 0;

  constructor(
    readonly place: Place,
    /** Takes the next message of the log; `prev` is the event's. @returns whether it is an event */
    private readonly take: (
      place: Place,
      stored: Stored,
      prev: number,
    ) => boolean,
  ) {}

  get position(): number {
    return this.#position;
  }

  get started(): boolean {
    return this.#started;
  }

  /** The room's head when the feed was started: up to there nothing is taken. */
  get from(): number {
    return this.#from;
  }

  /** A message that is in the stream and was not taken: seq, or 0 where nothing is known to be missing. */
  get missing(): number {
    return this.#expected > this.#position ? this.#expected : 0;
  }

  /** From here on the log is taken. @param head seq of the room's last message */
  start(head: number): void {
    this.#position = this.#follows = this.#from = this.checked = head;
    this.#started = true;
    this.drain();
  }

  /** A message of the room came live. @returns whether one before it is missing */
  receive(stored: Stored): boolean {
    if (this.closed || (this.#started && stored.seq <= this.#position))
      return false;
    if (
      this.#started &&
      !this.healing &&
      this.#held.length === 0 &&
      stored.prev <= this.#position
    ) {
      this.#take(stored, this.#follows);
      return false;
    }
    this.#hold(stored);
    return this.#started && !this.healing;
  }

  /** Somebody saw this seq in the stream. */
  expect(seq: number): void {
    if (seq > this.#expected) this.#expected = seq;
  }

  /**
   * What a read from the position on brought, ascending.
   * @param whole nothing was removed between the position and the first of them
   */
  fill(messages: readonly Stored[], whole: boolean): void {
    for (const stored of messages) {
      this.#take(stored, whole ? this.#follows : stored.seq - 1);
      whole = true;
    }
    this.drain();
  }

  /** Takes held messages as far as they follow. */
  drain(): void {
    let i = 0;
    for (; i < this.#held.length; i++) {
      const stored = this.#held[i]!;
      if (stored.seq > this.#position) {
        if (stored.prev > this.#position) {
          this.expect(stored.prev);
          break;
        }
        this.#take(stored, this.#follows);
      }
      this.#heldBytes -= stored.bytes;
    }
    this.#held.splice(0, i);
  }

  /**
   * The stream no longer holds what lies between the position and `seq`: the log goes on after the hole, which shows in
   * the next one's `prev`.
   */
  skipTo(seq: number): void {
    const next = this.#held[0];
    if (next && next.prev <= seq && next.seq > this.#position) {
      this.#held.shift();
      this.#heldBytes -= next.bytes;
      this.#take(next, next.prev);
    } else if (seq > this.#position) this.#position = this.#follows = seq;
    this.drain();
  }

  #take(stored: Stored, prev: number): void {
    this.#position = stored.seq;
    if (this.take(this.place, stored, prev)) this.#follows = stored.seq;
  }

  #hold(stored: Stored): void {
    const last = this.#held.at(-1);
    if (!last || stored.prev > last.seq) this.expect(stored.prev);
    if (this.#held.length >= MAX_HELD || this.#heldBytes >= MAX_HELD_BYTES) {
      // The stream has them: they are read in their turn.
      for (const { seq } of this.#held) this.expect(seq);
      this.expect(stored.seq);
      this.#held = [];
      this.#heldBytes = 0;
      return;
    }
    this.#held.push(stored);
    this.#heldBytes += stored.bytes;
  }
}
