import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Bucket, Strikes } from "../../src/gateway/bucket.ts";

describe("a bucket", () => {
  test("lets a burst through at once, then tells how long to wait", () => {
    const bucket = new Bucket(50, 100, 0);
    for (let i = 0; i < 100; i++) expect(bucket.take(0)).toBe(0);
    expect(bucket.take(0)).toBe(20);
    expect(bucket.take(10)).toBe(10);
    expect(bucket.take(20)).toBe(0);
    expect(bucket.take(20)).toBe(20);
  });

  test("never holds more than a burst, however long it rests", () => {
    const bucket = new Bucket(10, 20, 0);
    let taken = 0;
    while (bucket.take(1e9) === 0) taken++;
    expect(taken).toBe(20);
  });

  test("without a rate lets everything through", () => {
    const bucket = new Bucket(Infinity, Infinity, 0);
    for (let i = 0; i < 1000; i++) expect(bucket.take(0)).toBe(0);
  });

  test("gives several at once, and from a full one more than it holds", () => {
    const bucket = new Bucket(10, 100, 0);
    expect(bucket.take(0, 60)).toBe(0);
    expect(bucket.take(0, 60)).toBe(2000);
    expect(bucket.take(0, 40)).toBe(0);
    expect(bucket.take(9000, 1000)).toBe(1000);
    expect(bucket.take(10_000, 1000)).toBe(0);
    expect(bucket.take(10_000)).toBe(100);
  });

  test("a refused attempt costs nothing", () => {
    const bucket = new Bucket(1, 1, 0);
    bucket.take(0);
    for (let now = 1; now < 1000; now++)
      expect(bucket.take(now)).toBeGreaterThan(0);
    expect(bucket.take(1000)).toBe(0);
  });

  const rates = fc.record({
    perSecond: fc.integer({ min: 1, max: 5000 }),
    times: fc.constantFrom(1, 2, 4),
  });
  const steps = fc.array(
    fc.oneof(
      fc.constant(0),
      fc.double({ min: 0, max: 50, noNaN: true }),
      fc.nat({ max: 3000 }),
    ),
    { maxLength: 300 },
  );

  test("over any stretch of time gives at most a burst and the rate", () => {
    fc.assert(
      fc.property(rates, steps, ({ perSecond, times }, afterMs) => {
        const burst = perSecond * times;
        const bucket = new Bucket(perSecond, burst, 0);
        const taken: number[] = [];
        let now = 0;
        for (const ms of afterMs) {
          now += ms;
          if (bucket.take(now) === 0) taken.push(now);
        }
        for (let from = 0; from < taken.length; from += 7)
          for (let to = from; to < taken.length; to += 5) {
            const seconds = (taken[to]! - taken[from]!) / 1000;
            expect(to - from + 1).toBeLessThanOrEqual(
              burst + seconds * perSecond + 1e-6,
            );
          }
      }),
    );
  });

  test("whoever waits as long as told, give or take the last bit of a float, gets through", () => {
    fc.assert(
      fc.property(rates, steps, ({ perSecond, times }, afterMs) => {
        const bucket = new Bucket(perSecond, perSecond * times, 0);
        let now = 0;
        for (const ms of afterMs) {
          now += ms;
          const wait = bucket.take(now);
          if (wait === 0) continue;
          expect(Number.isInteger(wait)).toBe(true);
          expect(wait).toBeLessThanOrEqual(Math.ceil(1000 / perSecond));
          now += wait + 1e-6;
          expect(bucket.take(now)).toBe(0);
        }
      }),
    );
  });
});

describe("strikes", () => {
  test("are counted in any window, not in one that starts anew", () => {
    const strikes = new Strikes(20, 10_000);
    strikes.add(0);
    for (let i = 0; i < 19; i++) expect(strikes.add(9_900 + i)).toBe(false);
    // One is forgotten by now: the next is the twentieth, the one after it too many.
    expect(strikes.add(10_001)).toBe(false);
    expect(strikes.add(10_002)).toBe(true);
  });

  test("more than the most in one window are one too many, and so is each after it", () => {
    const strikes = new Strikes(20, 10_000);
    for (let i = 0; i < 20; i++) expect(strikes.add(i * 400)).toBe(false);
    expect(strikes.add(9_000)).toBe(true);
    expect(strikes.add(10_000)).toBe(true);
  });

  test("are forgotten when the window is over", () => {
    const strikes = new Strikes(2, 1000);
    expect([strikes.add(0), strikes.add(0)]).toEqual([false, false]);
    expect([strikes.add(1001), strikes.add(1001)]).toEqual([false, false]);
    expect(strikes.add(2001)).toBe(true);
  });

  test("never hit who stays within the limit in every window, always who doubles it in one", () => {
    const windowMs = 1000;
    const times = fc
      .array(fc.nat({ max: 5000 }), { maxLength: 40 })
      .map((list) => list.toSorted((a, b) => a - b));
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 6 }), (at, most) => {
        const strikes = new Strikes(most, windowMs);
        const hit = at.map((now) => strikes.add(now)).includes(true);
        const densest = Math.max(
          0,
          ...at.map(
            (from) =>
              at.filter((t) => t >= from && t <= from + windowMs).length,
          ),
        );
        if (densest <= most) expect(hit).toBe(false);
        if (densest > 2 * most) expect(hit).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
