/**
 * Keeps a connection's sends below the server's limit. A refused message would be tried again, but what was under way
 * behind it may be taken meanwhile: staying below the limit is what keeps the order.
 *
 * The server allows bursts of two seconds' worth; this one of one second's, so that frames which a slow line delivers
 * together fit. The bucket is kept as the time at which it would be full again (GCRA).
 */
export class Pace {
  readonly #intervalMs: number;
  #fullAt = 0;

  /** @param perSecond 0 for no limit */
  constructor(perSecond: number) {
    this.#intervalMs = perSecond && 1000 / perSecond;
  }

  /** Takes one. @returns 0, or the ms to wait: then nothing was taken */
  take(now: number): number {
    const full = Math.max(this.#fullAt, now) + this.#intervalMs;
    if (full > now + 1000) return full - now - 1000;
    this.#fullAt = full;
    return 0;
  }
}
