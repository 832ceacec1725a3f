/** As many buckets, each twice the one before: from 1 to 2^26, which is a minute in microseconds. */
const BUCKETS = 27;
const HIGHEST = 2 ** (BUCKETS - 1);

/**
 * Counts values in buckets of powers of two. Cheap enough to be fed once per event: no search, no object.
 *
 * A bucket k holds values above 2^(k-1) and up to 2^k; the last holds everything above the one before it.
 */
export class Histogram {
  /** By bucket, not summed up. */
  readonly counts: number[] = new Array<number>(BUCKETS).fill(0);
  sum = 0;

  /** @param value not negative; a clock that went back counts as 0 */
  record(value: number): void {
    // Above what 32 bits hold they would start anew.
    const whole = Math.min(Math.ceil(value), HIGHEST);
    this.counts[whole > 1 ? 32 - Math.clz32(whole - 1) : 0]!++;
    if (value > 0) this.sum += value;
  }

  /** The highest value of a bucket; Infinity for the last one. */
  static bound(bucket: number): number {
    return bucket === BUCKETS - 1 ? Infinity : 2 ** bucket;
  }
}
