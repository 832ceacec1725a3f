import * as hdr from "hdr-histogram-js";
import type { Histogram } from "hdr-histogram-js";

export type { Histogram };

/** Microseconds, except `count`. */
export interface Quantiles {
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

const HIGHEST_US = 600_000_000;

/** Values in whole microseconds from 1 µs to 10 minutes, three significant digits. */
export function newHistogram(): Histogram {
  return hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
    autoResize: false,
  });
}

/** Records a duration in µs; fractions are cut, values outside the range are moved to its ends. */
export function recordUs(histogram: Histogram, value_us: number): void {
  const value = Math.trunc(value_us);
  histogram.recordValue(
    value < 1 ? 1 : value > HIGHEST_US ? HIGHEST_US : value,
  );
}

/** Text that keeps the whole histogram, for JSON and for `decodeHistogram`. */
export function encodeHistogram(histogram: Histogram): string {
  return hdr.encodeIntoCompressedBase64(histogram);
}

export function decodeHistogram(text: string): Histogram {
  return hdr.decodeFromCompressedBase64(text);
}

/** Merges encoded histograms of several processes. */
export function mergeHistograms(encoded: string[]): Histogram {
  const sum = newHistogram();
  for (const text of encoded) sum.add(decodeHistogram(text));
  return sum;
}

export function quantiles(histogram: Histogram): Quantiles {
  const count = histogram.totalCount;
  const at = (percentile: number): number =>
    count === 0 ? 0 : histogram.getValueAtPercentile(percentile);
  return {
    count,
    mean: count === 0 ? 0 : histogram.mean,
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: count === 0 ? 0 : histogram.maxValue,
  };
}
