import { expect, test } from "bun:test";
import fc from "fast-check";
import { Histogram } from "../../src/stats/histogram.ts";

const bucketOf = (value: number): number => {
  const histogram = new Histogram();
  histogram.record(value);
  return histogram.counts.indexOf(1);
};

test("a value is in the lowest bucket whose bound it does not pass", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (value) => {
      const bucket = bucketOf(value);
      expect(value).toBeLessThanOrEqual(Histogram.bound(bucket));
      if (bucket > 0)
        expect(value).toBeGreaterThan(Histogram.bound(bucket - 1));
    }),
  );
});

test("bounds belong to their own bucket, what is a little more to the next", () => {
  const { counts } = new Histogram();
  for (let bucket = 0; bucket < counts.length - 1; bucket++) {
    expect(bucketOf(2 ** bucket)).toBe(bucket);
    expect(bucketOf(2 ** bucket + 0.001)).toBe(bucket + 1);
  }
  expect(bucketOf(2 ** 40)).toBe(counts.length - 1);
  expect(Histogram.bound(counts.length - 1)).toBe(Infinity);
});

test("the sum is that of all values; a clock that went back adds nothing", () => {
  const histogram = new Histogram();
  for (const value of [0.5, 3, 1000, -2]) histogram.record(value);
  expect(histogram.sum).toBe(1003.5);
  expect(histogram.counts.reduce((a, b) => a + b)).toBe(4);
});
