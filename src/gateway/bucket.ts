/** A token bucket: `perSecond` on average, `burst` at once. Time is passed in, in ms. */
export class Bucket {
  #tokens: number;
  #at: number;

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    now: number,
  ) {
    this.#tokens = burst;
    this.#at = now;
  }

  /** @returns 0 where a token was taken, otherwise the ms until there is one */
  take(now: number): number {
    if (this.perSecond === Infinity) return 0;
    const tokens = Math.min(
      this.burst,
      this.#tokens + ((now - this.#at) * this.perSecond) / 1000,
    );
    this.#at = now;
    if (tokens >= 1) {
      this.#tokens = tokens - 1;
      return 0;
    }
    this.#tokens = tokens;
    return Math.ceil(((1 - tokens) * 1000) / this.perSecond);
  }
}

/** Counts what happens too often: `most` within `windowMs`. Time is passed in, in ms. */
export class Strikes {
  #count = 0;
  #since = -Infinity;

  constructor(
    private readonly most: number,
    private readonly windowMs: number,
  ) {}

  /** @returns whether it was one too many */
  add(now: number): boolean {
    if (now - this.#since > this.windowMs) {
      this.#since = now;
      this.#count = 0;
    }
    return ++this.#count > this.most;
  }
}
