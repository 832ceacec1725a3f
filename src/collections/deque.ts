/**
 * A queue of items with stable absolute positions: the item at position `start` leaves first, the next one pushed
 * gets position `end`. A circular buffer: push, shift and indexed reads are O(1), and nothing is moved but when it grows.
 */
export class Deque<T> {
  /** Its length is a power of two; the item at an absolute position lies at `position & (length - 1)`. */
  #items: (T | undefined)[] = [undefined, undefined];
  #start = 0;
  #end = 0;

  /** Absolute position of the first item. */
  get start(): number {
    return this.#start;
  }

  /** Absolute position after the last item. */
  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  push(item: T): void {
    if (this.length === this.#items.length) this.#grow();
    // Positions pass 2^31 one day: `&` takes their low bits, which is all that is needed.
    this.#items[this.#end & (this.#items.length - 1)] = item;
    this.#end++;
  }

  shift(): T | undefined {
    if (this.#start === this.#end) return undefined;
    const place = this.#start & (this.#items.length - 1);
    const item = this.#items[place];
    this.#items[place] = undefined;
    this.#start++;
    return item;
  }

  /** @param position absolute; `start <= position < end` */
  at(position: number): T {
    return this.#items[position & (this.#items.length - 1)] as T;
  }

  set(position: number, item: T): void {
    this.#items[position & (this.#items.length - 1)] = item;
  }

  #grow(): void {
    const old = this.#items;
    const grown = new Array<T | undefined>(old.length * 2).fill(undefined);
    for (let i = this.#start; i < this.#end; i++)
      grown[i & (grown.length - 1)] = old[i & (old.length - 1)];
    this.#items = grown;
  }
}
