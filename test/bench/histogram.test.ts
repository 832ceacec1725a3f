import { expect, test } from "bun:test";
import {
  decodeHistogram,
  encodeHistogram,
  mergeHistograms,
  newHistogram,
  quantiles,
  recordUs,
} from "../../bench/load/histogram.ts";

test("quantiles are right to a thousandth", () => {
  const histogram = newHistogram();
  for (let value = 1; value <= 100_000; value++) recordUs(histogram, value);
  const { count, p50, p90, p99, p999, max, mean } = quantiles(histogram);
  expect(count).toBe(100_000);
  const near = (value: number, right: number): void =>
    expect(Math.abs(value / right - 1)).toBeLessThan(0.0011);
  near(p50, 50_000);
  near(p90, 90_000);
  near(p99, 99_000);
  near(p999, 99_900);
  near(max, 100_000);
  near(mean, 50_000);
});

test("parts that crossed a process boundary merge into the whole", () => {
  const whole = newHistogram();
  const parts = [newHistogram(), newHistogram(), newHistogram()];
  for (let i = 0; i < 3000; i++) {
    const value = (i * 7919) % 50_000;
    recordUs(whole, value);
    recordUs(parts[i % 3]!, value);
  }
  const merged = mergeHistograms(parts.map(encodeHistogram));
  // The highest value is known to a thousandth only, once it was encoded.
  const { max, ...right } = quantiles(whole);
  expect(quantiles(merged)).toMatchObject(right);
  expect(Math.abs(quantiles(merged).max / max - 1)).toBeLessThan(0.0011);
  expect(quantiles(decodeHistogram(encodeHistogram(merged)))).toMatchObject(
    right,
  );
});

test("values out of range are kept at its ends, fractions are cut", () => {
  const histogram = newHistogram();
  for (const value of [-5, 0, 0.4, 1.9]) recordUs(histogram, value);
  expect(quantiles(histogram)).toMatchObject({ count: 4, max: 1 });
  recordUs(histogram, 1e12);
  expect(quantiles(histogram).max).toBeGreaterThan(599_000_000);
});

test("an empty histogram has zeros, not errors", () => {
  expect(quantiles(mergeHistograms([]))).toEqual({
    count: 0,
    mean: 0,
    p50: 0,
    p90: 0,
    p99: 0,
    p999: 0,
    max: 0,
  });
});
