import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import type { Connection } from "../../src/gateway/connection.ts";
import { Liveness } from "../../src/gateway/liveness.ts";
import { newConnection } from "./connections.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

interface Run {
  readonly pings: { at: number; connection: Connection }[];
  readonly gone: Map<Connection, number>;
}

/**
 * Lets time pass, in sweeps as often as they should be.
 * @param answer ms after which a connection answers a ping, undefined where it never does
 */
function run(
  options: { pingIntervalMs: number; pingTimeoutMs: number },
  connections: ReadonlySet<Connection>,
  untilMs: number,
  answer: (connection: Connection) => number | undefined,
): Run {
  const pings: Run["pings"] = [];
  const gone: Run["gone"] = new Map();
  const living = new Set(connections);
  const answers: { at: number; connection: Connection }[] = [];
  let now = 0;
  const liveness = new Liveness(
    options,
    (peer) => {
      const connection = peer as Connection;
      pings.push({ at: now, connection });
      const after = answer(connection);
      if (after !== undefined) answers.push({ at: now + after, connection });
    },
    (peer) => {
      const connection = peer as Connection;
      gone.set(connection, now);
      living.delete(connection);
    },
  );
  for (; now <= untilMs; now += liveness.intervalMs) {
    for (const { at, connection } of answers)
      if (at <= now && at > connection.seenAt) connection.seenAt = at;
    liveness.sweep(living, now);
  }
  return { pings, gone };
}

const OPTIONS = { pingIntervalMs: 15_000, pingTimeoutMs: 15_000 };

describe("a sweep", () => {
  const pinged: Connection[] = [];
  const gone: Connection[] = [];
  const liveness = new Liveness(
    OPTIONS,
    (peer) => pinged.push(peer as Connection),
    (peer) => gone.push(peer as Connection),
  );
  const connection = newConnection(1, 0);
  const sweep = (now: number): [pings: number, gone: number] => {
    liveness.sweep(new Set([connection]), now);
    return [pinged.length, gone.length];
  };

  test("pings once after the interval, and takes it for gone after the timeout", () => {
    expect(sweep(14_999)).toEqual([0, 0]);
    expect(sweep(15_000)).toEqual([1, 0]);
    expect(sweep(20_000)).toEqual([1, 0]);
    expect(sweep(29_999)).toEqual([1, 0]);
    expect(sweep(30_000)).toEqual([1, 1]);
  });

  test("a late sign of life saves it, and the interval begins again", () => {
    connection.seenAt = 30_001;
    expect(sweep(45_000)).toEqual([1, 1]);
    expect(sweep(45_001)).toEqual([2, 1]);
  });
});

test("sweeps are eight in the shorter of the two times, at least one a second", () => {
  const intervalOf = (pingIntervalMs: number, pingTimeoutMs: number): number =>
    new Liveness(
      { pingIntervalMs, pingTimeoutMs },
      () => {},
      () => {},
    ).intervalMs;
  expect(intervalOf(15_000, 15_000)).toBe(1000);
  expect(intervalOf(800, 15_000)).toBe(100);
  expect(intervalOf(15_000, 800)).toBe(100);
  expect(intervalOf(100, 100)).toBe(20);
});

test("who answers is never gone, who does not is gone in time and not before", () => {
  const options = fc.record({
    pingIntervalMs: fc.integer({ min: 100, max: 20_000 }),
    pingTimeoutMs: fc.integer({ min: 100, max: 20_000 }),
  });
  // A part of the timeout after which it answers; above 1: never.
  const delays = fc.array(fc.double({ min: 0, max: 2, noNaN: true }), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(options, delays, (times, parts) => {
      const { pingIntervalMs, pingTimeoutMs } = times;
      const all = parts.map((_, i) => newConnection(i, 0));
      const partOf = new Map(all.map((c, i) => [c, parts[i]!]));
      const { gone } = run(
        times,
        new Set(all),
        3 * (pingIntervalMs + pingTimeoutMs),
        (connection) => {
          const part = partOf.get(connection)!;
          return part > 1 ? undefined : part * 0.8 * pingTimeoutMs;
        },
      );
      const sweepMs = Math.max(20, Math.min(pingIntervalMs, pingTimeoutMs) / 8);
      for (const [connection, part] of partOf) {
        const at = gone.get(connection);
        if (part <= 1 && 0.2 * pingTimeoutMs > sweepMs)
          expect(at).toBeUndefined();
        if (part <= 1) continue;
        expect(at).toBeGreaterThanOrEqual(pingIntervalMs + pingTimeoutMs);
        expect(at).toBeLessThanOrEqual(
          pingIntervalMs + pingTimeoutMs + 2 * sweepMs,
        );
      }
    }),
    { numRuns: 60 },
  );
});

test("connections that came in one storm are pinged in several sweeps, and all within half an interval", () => {
  const all = new Set(
    Array.from({ length: 6000 }, (_, i) => newConnection(i, 0)),
  );
  const { pings, gone } = run(OPTIONS, all, 29_000, () => 10);
  const perSweep = Map.groupBy(pings, (ping) => ping.at);
  for (const [at, some] of perSweep) {
    expect(some.length).toBeLessThanOrEqual(1600);
    expect(at).toBeWithin(15_000, 22_500);
  }
  expect(perSweep.size).toBeGreaterThanOrEqual(4);
  expect(new Set(pings.map((ping) => ping.connection)).size).toBe(6000);
  expect(gone.size).toBe(0);
});

test("a few connections are pinged in one sweep", () => {
  const all = new Set(
    Array.from({ length: 64 }, (_, i) => newConnection(i, 0)),
  );
  const { pings } = run(OPTIONS, all, 15_000, () => 10);
  expect(pings).toHaveLength(64);
});
