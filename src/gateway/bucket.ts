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

  /**
   * @param amount tokens; more than the bucket holds are taken from a full one
   * @returns 0 where they were taken, otherwise the ms until they are there
   */
  take(now: number, amount = 1): number {
    if (this.perSecond === Infinity) return 0;
    const needed = Math.min(amount, this.burst);
    const tokens = Math.min(
      this.burst,
      this.#tokens + ((now - this.#at) * this.perSecond) / 1000,
    );
    this.#at = now;
    // Who waits as long as told must not be refused for a rounding error.
    if (tokens >= needed - 1e-6) {
      this.#tokens = Math.max(0, tokens - needed);
      return 0;
    }
    this.#tokens = tokens;
    return Math.ceil(((needed - tokens) * 1000) / this.perSecond);
  }
}

/** Counts what happens too often: more than `most` times within any `windowMs`. Time is passed in, in ms. */
export class Strikes {
  /** When the latest ones happened, a ring. */
  readonly #times: Float64Array;
  #next = 0;

  constructor(
    private readonly most: number,
    private readonly windowMs: number,
  ) {
    this.#times = new Float64Array(most).fill(-Infinity);
  }

  /** @returns whether it was one too many */
  add(now: number): boolean {
    const place = this.#next++ % this.most;
    const earlier = this.#times[place]!;
    this.#times[place] = now;
    return now - earlier <= this.windowMs;
  }
}
