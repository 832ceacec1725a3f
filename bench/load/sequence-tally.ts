/** More missing numbers than this in one process are counted as lost at once instead of being remembered. */
const MAX_REMEMBERED = 1_000_000;

/**
 * Counts what became of numbered messages: slot s should receive 0, 1, 2, … once each and in order. A number that was
 * skipped is missing; when it comes after all, it was reordered; a number that comes again was doubled; what never
 * comes was lost.
 */
export class SequenceTally {
  reordered = 0;
  doubled = 0;
  /** May have room for more slots than there are. */
  #next: Int32Array;
  #slots: number;
  #missing = new Map<number, Set<number>>();
  #remembered = 0;
  #forgotten = 0;

  constructor(slots: number) {
    this.#next = new Int32Array(slots);
    this.#slots = slots;
  }

  /** Adds slots behind those there are, whose counts stay; gives the first new one. */
  addSlots(count: number): number {
    const first = this.#slots;
    this.#slots += count;
    if (this.#slots > this.#next.length) {
      const larger = new Int32Array(Math.max(this.#slots, 2 * first));
      larger.set(this.#next);
      this.#next = larger;
    }
    return first;
  }

  /** Takes one arrival; true if it is the first of its number in its slot. */
  take(slot: number, number: number): boolean {
    const next = this.#next[slot]!;
    if (number === next) {
      this.#next[slot] = next + 1;
      return true;
    }
    return this.#unexpected(slot, number, next);
  }

  /** How many of the `total` numbers of a slot never came. */
  lost(slot: number, total: number): number {
    return (
      Math.max(0, total - this.#next[slot]!) +
      (this.#missing.get(slot)?.size ?? 0)
    );
  }

  /** Lost numbers that could not be remembered by slot (beyond a million). */
  get lostElsewhere(): number {
    return this.#forgotten;
  }

  #unexpected(slot: number, number: number, next: number): boolean {
    if (number > next) {
      this.#miss(slot, next, number);
      this.#next[slot] = number + 1;
      return true;
    }
    const missing = this.#missing.get(slot);
    if (missing?.delete(number)) {
      this.#remembered--;
      this.reordered++;
      return true;
    }
    this.doubled++;
    return false;
  }

  #miss(slot: number, from: number, to: number): void {
    const room = Math.max(
      0,
      Math.min(to - from, MAX_REMEMBERED - this.#remembered),
    );
    this.#forgotten += to - from - room;
    this.#remembered += room;
    if (room === 0) return;
    let missing = this.#missing.get(slot);
    if (missing === undefined) this.#missing.set(slot, (missing = new Set()));
    for (let number = from; number < from + room; number++) missing.add(number);
  }
}
