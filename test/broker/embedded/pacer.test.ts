import { expect, test } from "bun:test";
import fc from "fast-check";
import { Pacer } from "../../../src/broker/embedded/pacer.ts";

/** Commits `perMs` events a millisecond for so long, each commit when the pacer lets it. @returns times of commits */
function run(
  pacer: Pacer,
  from: number,
  forMs: number,
  perMs: number,
): number[] {
  const commits: number[] = [];
  for (let now = from; now < from + forMs;) {
    const wait = pacer.wait(now);
    now += wait;
    commits.push(now);
    pacer.committed(now, Math.max(1, Math.round((wait || 0.1) * perMs)));
    now += 0.1;
  }
  return commits;
}

test("the first commit is at once", () => {
  expect(new Pacer(1, 5).wait(0)).toBe(0);
  expect(new Pacer(1, 5).wait(1e9)).toBe(0);
});

test("a quiet server commits every event at once", () => {
  const pacer = new Pacer(1, 5);
  for (let now = 0; now < 1000; now += 0.5) {
    expect(pacer.wait(now)).toBe(0);
    pacer.committed(now, 1);
  }
});

test("a busy server commits once per pace", () => {
  const pacer = new Pacer(2, 5);
  const commits = run(pacer, 0, 200, 20);
  const steady = commits.filter((at) => at >= 100);
  expect(steady.length).toBeGreaterThan(40);
  for (let i = 1; i < steady.length; i++)
    expect(steady[i]! - steady[i - 1]!).toBeCloseTo(2, 6);
});

test("load is what came lately: some 20 ms at the rate make it, a burst of a few events does not", () => {
  const pacer = new Pacer(1, 5);
  pacer.committed(0, 50);
  expect(pacer.wait(0)).toBe(0);
  for (let now = 0.25; now < 40; now += 0.25) pacer.committed(now, 2);
  expect(pacer.wait(40)).toBeGreaterThan(0);
});

test("a quiet minute after load is quiet again", () => {
  const pacer = new Pacer(1, 5);
  run(pacer, 0, 100, 50);
  expect(pacer.wait(60_000)).toBe(0);
  pacer.committed(60_000, 1);
  expect(pacer.wait(60_000)).toBe(0);
});

test("a pace of 0 never waits", () => {
  const pacer = new Pacer(0, 5);
  for (let now = 0; now < 10; now++) {
    expect(pacer.wait(now)).toBe(0);
    pacer.committed(now, 10_000);
  }
});

test("a wait is never negative and never longer than the pace", () => {
  const commit = fc.record({
    afterMs: fc.double({ min: 0, max: 100, noNaN: true }),
    events: fc.integer({ min: 1, max: 20_000 }),
  });
  fc.assert(
    fc.property(
      fc.array(commit),
      fc.integer({ min: 0, max: 1000 }),
      (commits, paceMs) => {
        const pacer = new Pacer(paceMs, 5);
        let now = 0;
        for (const { afterMs, events } of commits) {
          now += afterMs;
          expect(pacer.wait(now)).toBeWithin(0, paceMs + 0.001);
          pacer.committed(now, events);
          expect(pacer.wait(now)).toBeWithin(0, paceMs + 0.001);
        }
      },
    ),
  );
});
