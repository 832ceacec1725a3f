/**
 * Lets long replies out at a bounded rate, so that a storm of resumes cannot starve live delivery: so many bytes in one
 * turn of the event loop, first come, first served. What a turn spends too much is taken from the next ones.
 */
export class Meter {
  #spent = 0;
  #waiting: (() => void)[] = [];
  #scheduled = false;

  constructor(private readonly bytesPerTurn: number) {}

  /** Resolves, or returns, when it is the caller's turn. */
  turn(): Promise<void> | undefined {
    if (this.#spent < this.bytesPerTurn && this.#waiting.length === 0) {
      this.spend(REPLY_BYTES);
      return undefined;
    }
    this.#schedule();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Counts what a reply took. */
  spend(bytes: number): void {
    this.#spent += bytes;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#nextTurn);
  }

  readonly #nextTurn = (): void => {
    this.#scheduled = false;
    this.#spent = Math.max(0, this.#spent - this.bytesPerTurn);
    let released = 0;
    while (released < this.#waiting.length && this.#spent < this.bytesPerTurn) {
      this.#spent += REPLY_BYTES;
      this.#waiting[released++]!();
    }
    if (released > 0) this.#waiting = this.#waiting.slice(released);
    if (this.#spent > 0 || this.#waiting.length > 0) this.#schedule();
  };
}

/** What a reply costs before its length is known: reading and joining take time too. */
const REPLY_BYTES = 16 * 1024;
