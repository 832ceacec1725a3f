import { RoomcastError } from "./errors.ts";

/** Items that wait for a consumer, at most. */
export const MAX_STREAMED = 1000;

/** A bounded queue with an async iterator at its other end. */
export class EventStream<T> implements AsyncIterableIterator<T, undefined> {
  readonly #items: T[] = [];
  readonly #done: (stream: EventStream<T>) => void;
  #waiting: (() => void)[] = [];
  #ended = false;
  #error: Error | undefined;

  /** @param done called when nothing more is to be pushed */
  constructor(done: (stream: EventStream<T>) => void) {
    this.#done = done;
  }

  push(item: T): void {
    if (this.#items.length < MAX_STREAMED) this.#items.push(item);
    else
      this.end(
        new RoomcastError(
          "fell_behind",
          `${MAX_STREAMED} events wait: later ones are not here`,
        ),
      );
    this.#wake();
  }

  /** What is queued can still be taken; then comes the error, or the end. */
  end(error?: Error): void {
    if (!this.#ended) this.#error = error;
    this.#ended = true;
    this.#done(this);
    this.#wake();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    while (!this.#items.length && !this.#ended)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const value = this.#items.shift();
    if (value !== undefined) return { value, done: false };
    const error = this.#error;
    this.#error = undefined;
    if (error) throw error;
    return { value: undefined, done: true };
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#items.length = 0;
    this.#error = undefined;
    this.end();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
