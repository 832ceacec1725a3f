import { Deque } from "../collections/deque.ts";
import type { Entry } from "./entry.ts";

/** What rings of all rooms may hold together. */
export class RingBudget {
  #bytes = 0;
  /** Rings in the order of their last push: the one that rested longest gives its entries up first. */
  readonly #rings = new Set<Ring>();

  constructor(private readonly maxBytes: number) {}

  /** Bytes in all rings. */
  get bytes(): number {
    return this.#bytes;
  }

  added(ring: Ring, bytes: number): void {
    this.#bytes += bytes;
    this.#rings.delete(ring);
    this.#rings.add(ring);
    while (this.#bytes > this.maxBytes) {
      const oldest = this.#rings.values().next().value!;
      if (oldest === ring) {
        ring.dropOldest();
        continue;
      }
      oldest.clear();
    }
  }

  removed(bytes: number): void {
    this.#bytes -= bytes;
  }

  forget(ring: Ring): void {
    this.#rings.delete(ring);
  }
}

/** A room's recent events, already encoded: what a resume is served from before storage is asked. */
export class Ring {
  readonly #entries = new Deque<Entry>();
  #bytes = 0;

  constructor(
    private readonly maxEvents: number,
    private readonly budget: RingBudget,
  ) {}

  get length(): number {
    return this.#entries.length;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    if (this.#entries.length > this.maxEvents) this.dropOldest();
    this.budget.added(this, entry.bytes);
  }

  /** @returns the entry of an event, if it is here */
  find(seq: number): Entry | undefined {
    const entries = this.#entries;
    const at = this.#firstAbove(seq - 1);
    if (at === entries.end) return undefined;
    const entry = entries.at(at);
    return entry.seq === seq ? entry : undefined;
  }

  dropOldest(): void {
    const entry = this.#entries.shift();
    if (!entry) return;
    this.#bytes -= entry.bytes;
    this.budget.removed(entry.bytes);
  }

  /** Forgets events from before `ts` (ms since 1970): retention is the same wherever events are read from. */
  dropBefore(ts: number): void {
    const entries = this.#entries;
    while (entries.length > 0 && entries.at(entries.start).ts < ts)
      this.dropOldest();
  }

  clear(): void {
    while (this.#entries.length > 0) this.dropOldest();
    this.budget.forget(this);
  }

  /**
   * @returns all events with `after < seq <= upto`, ascending; undefined where the ring does not reach back that far
   */
  range(after: number, upto: number): Entry[] | undefined {
    if (after >= upto) return [];
    const entries = this.#entries;
    if (entries.length === 0 || entries.at(entries.start).prev > after)
      return undefined;
    const found: Entry[] = [];
    for (let i = this.#firstAbove(after); i < entries.end; i++) {
      const entry = entries.at(i);
      if (entry.seq > upto) break;
      found.push(entry);
    }
    return found;
  }

  /**
   * @returns the latest `limit` events up to `upto`, ascending; undefined where the ring cannot tell that there are
   * older ones
   */
  latest(upto: number, limit: number): Entry[] | undefined {
    const entries = this.#entries;
    const end = this.#firstAbove(upto);
    if (end - entries.start <= limit) return undefined;
    const found: Entry[] = [];
    for (let i = end - limit; i < end; i++) found.push(entries.at(i));
    return found;
  }

  /** @returns absolute position of the first entry with a seq above `seq` */
  #firstAbove(seq: number): number {
    const entries = this.#entries;
    let low = entries.start;
    let high = entries.end;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (entries.at(middle).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
