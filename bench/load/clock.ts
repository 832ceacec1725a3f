/**
 * One clock for all processes of a run: microseconds since the run's base, a wall-clock millisecond that the
 * coordinator chose. `performance.now()` alone starts at zero in each process; adding `timeOrigin` makes the
 * processes of one machine agree to within a few tens of microseconds.
 */
export class RunClock {
  readonly #offset_ms: number;

  /** `base_ms`: milliseconds since 1970, the run's time zero. */
  constructor(base_ms: number) {
    this.#offset_ms = performance.timeOrigin - base_ms;
  }

  /** Microseconds since the base, with a fraction. */
  now(): number {
    return (performance.now() + this.#offset_ms) * 1000;
  }
}
