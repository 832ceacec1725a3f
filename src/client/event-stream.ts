import { RoomcastError } from "./errors.ts";

/** Items that wait for a consumer, at most. */
export const MAX_STREAMED = 1000;

type Taken<T> = IteratorResult<T, undefined>;

/** A bounded queue with an async iterator at its other end. No generator: `return()` has to end a `next()` that waits. */
export class EventStream<T> implements AsyncIterableIterator<T, undefined> {
  readonly #items: T[] = [];
  /** `next()`s that wait, in their order. */
  readonly #takers: ((taken: Taken<T> | Promise<never>) => void)[] = [];
  readonly #done: () => void;
  /** Why nothing follows: an error, or the plain end. */
  #end: Error | true | undefined;

  /** @param done called when nothing more is to be pushed, once or more often */
  constructor(done: () => void) {
    this.#done = done;
  }

  push(item: T): void {
    // After the end nothing follows, or there would be a hole before it.
    if (this.#end) return;
    if (this.#items.length < MAX_STREAMED) this.#items.push(item);
    else this.end(new RoomcastError("fell_behind", "too many events wait"));
    this.#serve();
  }

  /** What is queued can still be taken; then comes the error, or the end. */
  end(reason: Error | true = true): void {
    this.#end ||= reason;
    this.#done();
    this.#serve();
  }

  next(): Promise<Taken<T>> {
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#serve();
    });
  }

  return(): Promise<Taken<T>> {
    this.#end = true;
    this.#items.length = 0;
    this.end();
    return this.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #serve(): void {
    while (this.#takers[0] && (this.#end || this.#items.length)) {
      const value = this.#items.shift();
      const done = value === undefined;
      this.#takers.shift()!(
        done && this.#end !== true
          ? Promise.reject(this.#end)
          : ({ value, done } as Taken<T>),
      );
    }
  }
}
