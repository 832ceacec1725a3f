/**
 * A token bucket that keeps a client's sends below the server's limit. A refused message would be tried again, but what
 * was under way behind it may be taken meanwhile: staying below the limit is what keeps the order.
 *
 * The server allows bursts of twice its rate; this one of once, so that frames which a slow line delivers together fit.
 */
export class Pace {
  readonly #perSecond: number;
  #tokens: number;
  #at: number;

  /** @param perSecond 0 for no limit */
  constructor(perSecond: number, now: number) {
    this.#perSecond = this.#tokens = perSecond;
    this.#at = now;
  }

  /** Takes one. @returns 0, or the ms to wait: then nothing was taken */
  take(now: number): number {
    const rate = this.#perSecond;
    this.#tokens = Math.min(
      rate,
      this.#tokens + ((now - this.#at) / 1000) * rate,
    );
    this.#at = now;
    if (rate && this.#tokens < 1)
      return Math.ceil(((1 - this.#tokens) / rate) * 1000);
    this.#tokens--;
    return 0;
  }
}
