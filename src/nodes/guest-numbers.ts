import { farNumber } from "../gateway/users.ts";

/** Numbers taken from the others at once: a kill skips as many. */
const BLOCK = 64;
const WAIT_MS = 500;
/** After a failure guests do not wait for the next attempt. */
const RETRY_MS = 1000;

/** Where blocks of numbers come from. */
export interface NumberSource {
  takeNumbers(count: number): Promise<number>;
  giveBack(next: number, end: number): Promise<void>;
}

interface Block {
  next: number;
  readonly end: number;
}

/**
 * Numbers of automatic names, of which each is given by one node once. They are taken in blocks and ahead, so that a guest
 * waits only where many come at once; while there are none to be had, it gets a number far from the counter's.
 */
export class GuestNumbers {
  /** None is empty. Another one is taken only for guests who wait, or when few numbers are left. */
  readonly #blocks: Block[] = [];
  #taking: Promise<void> | undefined;
  #failedAt = -Infinity;
  #waiting = 0;

  constructor(
    private readonly source: NumberSource,
    private readonly tell: (message: string) => void,
  ) {}

  /** A number is there when this resolves, unless NATS is away; undefined: at once. */
  ready(): Promise<void> | undefined {
    if (this.#left > this.#waiting || this.#failing) return undefined;
    return this.#wait();
  }

  take(): number {
    const block = this.#blocks[0];
    if (!block) return farNumber();
    const number = block.next++;
    if (block.next === block.end) this.#blocks.shift();
    if (this.#left < BLOCK / 2) void this.#more();
    return number;
  }

  /** Gives back what was not used, where nobody took numbers since. */
  async close(): Promise<void> {
    await this.#taking;
    try {
      for (const { next, end } of this.#blocks.splice(0).reverse())
        await this.source.giveBack(next, end);
    } catch {
      // Then they are skipped.
    }
  }

  get #left(): number {
    return this.#blocks.reduce((sum, { next, end }) => sum + end - next, 0);
  }

  get #failing(): boolean {
    return performance.now() - this.#failedAt < RETRY_MS;
  }

  async #wait(): Promise<void> {
    this.#waiting++;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    let over = false;
    const timer = setTimeout(() => {
      over = true;
      // Others need not find out as slowly.
      this.#failedAt = performance.now();
      resolve();
    }, WAIT_MS);
    while (this.#left < this.#waiting && !over && !this.#failing)
      await Promise.race([this.#more(), late]);
    clearTimeout(timer);
    this.#waiting--;
  }

  /** Settles when a block is there, or there is none to be had. */
  #more(): Promise<void> {
    if (this.#taking) return this.#taking;
    if (this.#failing) return Promise.resolve();
    const count = Math.max(BLOCK, 2 * this.#waiting);
    this.#taking = this.source
      .takeNumbers(count)
      .then(
        (next) => void this.#blocks.push({ next, end: next + count }),
        (error: Error) => {
          this.#failedAt = performance.now();
          this.tell(`guests get far numbers for a while: ${error.message}`);
        },
      )
      .finally(() => (this.#taking = undefined));
    return this.#taking;
  }
}
