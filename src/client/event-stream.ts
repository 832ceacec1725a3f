import { RoomcastError } from "./errors.ts";

/** Items that wait for a consumer, at most. */
export const MAX_STREAMED = 1000;

/** A bounded queue with an async iterator at its other end. */
export class EventStream<T> {
  readonly #items: T[] = [];
  #wake = (): void => {};
  #ended = false;
  #error: Error | undefined;

  push(item: T): void {
    // After the end nothing follows, or there would be a hole before it.
    if (this.#ended) return;
    if (this.#items.length < MAX_STREAMED) this.#items.push(item);
    else this.end(new RoomcastError("fell_behind", "too many events wait"));
    this.#wake();
  }

  /** What is queued can still be taken; then comes the error, or the end. */
  end(error?: Error): void {
    if (!this.#ended) this.#error = error;
    this.#ended = true;
    this.#wake();
  }

  /** @param done called when nothing more is to be pushed */
  async *iterate(done: () => void): AsyncGenerator<T, undefined> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) yield item;
        else if (this.#error) throw this.#error;
        else if (this.#ended) return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      done();
    }
  }
}
