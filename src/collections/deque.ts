/**
 * A queue of items with stable absolute positions: the item at position `start` leaves first, the next one pushed
 * gets position `end`. Push, shift and indexed reads are O(1) amortised; nothing is copied per shift.
 */
export class Deque<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #start = 0;

  /** Absolute position of the first item. */
  get start(): number {
    return this.#start;
  }

  /** Absolute position after the last item. */
  get end(): number {
    return this.#start + this.length;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    this.#start++;
    // Compacting when half is dead keeps both the memory and the moves in proportion to what is alive.
    if (this.#head >= 32 && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** @param position absolute; `start <= position < end` */
  at(position: number): T {
    return this.#items[this.#head + position - this.#start] as T;
  }

  set(position: number, item: T): void {
    this.#items[this.#head + position - this.#start] = item;
  }
}
