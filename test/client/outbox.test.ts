import { describe, expect, test } from "bun:test";
import { backoff } from "../../src/client/backoff.ts";
import { MAX_UNDER_WAY, Outbox, type Send } from "../../src/client/outbox.ts";
import { Pace } from "../../src/client/pace.ts";

interface Named extends Send {
  readonly n: number;
}

function filled(count: number): { outbox: Outbox<Named>; sends: Named[] } {
  const outbox = new Outbox<Named>();
  const sends = Array.from({ length: count }, (_, n) => ({
    n,
    tries: 0,
    underWay: false,
    unknown: false,
  }));
  for (const send of sends) outbox.push(send);
  return { outbox, sends };
}

/** Sends all that may go. @returns which */
function go(outbox: Outbox<Named>): number[] {
  const gone: number[] = [];
  for (let send = outbox.next(); send; send = outbox.next()) {
    outbox.sent(send);
    gone.push(send.n);
  }
  return gone;
}

describe("the outbox", () => {
  test("pipelines in order, up to a bound", () => {
    const { outbox, sends } = filled(40);
    expect(go(outbox)).toEqual(sends.slice(0, MAX_UNDER_WAY).map((s) => s.n));
    expect(outbox.remove(sends[0]!)).toBe(true);
    expect(outbox.remove(sends[0]!)).toBe(false);
    expect(go(outbox)).toEqual([MAX_UNDER_WAY]);
  });

  test("after a refusal, one at a time until it is through, in its place", () => {
    const { outbox, sends } = filled(6);
    for (const send of sends.slice(0, 4)) outbox.sent(send);
    outbox.retry(sends[1]!);
    outbox.retry(sends[2]!);
    expect(go(outbox)).toEqual([]);
    outbox.release();
    expect(go(outbox)).toEqual([]);
    outbox.release();
    // The others of that time are still under way: a retry waits for them.
    expect(go(outbox)).toEqual([]);
    outbox.remove(sends[0]!);
    expect(go(outbox)).toEqual([]);
    outbox.remove(sends[3]!);
    expect(go(outbox)).toEqual([1]);
    outbox.remove(sends[1]!);
    expect(go(outbox)).toEqual([2]);
    outbox.remove(sends[2]!);
    expect(go(outbox)).toEqual([4, 5]);
    expect(sends[1]!.tries).toBe(1);
  });

  test("after a lost connection, one at a time until all of that time are through", () => {
    const { outbox, sends } = filled(5);
    for (const send of sends.slice(0, 3)) outbox.sent(send);
    outbox.lost();
    expect(sends.map((s) => s.unknown)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(go(outbox)).toEqual([0]);
    // Given up while nothing is known of it: the next may go.
    outbox.remove(sends[0]!);
    expect(go(outbox)).toEqual([1]);
    outbox.lost();
    expect(go(outbox)).toEqual([1]);
    outbox.remove(sends[1]!);
    expect(go(outbox)).toEqual([2]);
    outbox.remove(sends[2]!);
    expect(go(outbox)).toEqual([3, 4]);
  });

  test("a lost connection ends the waiting for a refusal", () => {
    const { outbox, sends } = filled(2);
    outbox.sent(sends[0]!);
    outbox.retry(sends[0]!);
    expect(go(outbox)).toEqual([]);
    outbox.lost();
    expect(go(outbox)).toEqual([0]);
  });
});

test("the delay before an attempt is random below a bound that doubles, up to the maximum", () => {
  const bounds = Array.from({ length: 8 }, (_, n) =>
    backoff(n, 500, 20_000, 1),
  );
  expect(bounds).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
  expect(backoff(3, 500, 20_000, 0)).toBe(0);
  expect(backoff(3, 500, 20_000, 0.25)).toBe(1000);
  expect(backoff(5000, 500, 20_000, 0.5)).toBe(10_000);
});

describe("the pace", () => {
  test("one second's worth at once, then the rate", () => {
    const pace = new Pace(50);
    for (let i = 0; i < 50; i++) expect(pace.take(10_000)).toBe(0);
    expect(pace.take(10_000)).toBe(20);
    expect(pace.take(10_019)).toBe(1);
    expect(pace.take(10_020)).toBe(0);
    expect(pace.take(10_020)).toBe(20);
    // A quiet time fills it up again, and not beyond.
    for (let i = 0; i < 50; i++) expect(pace.take(99_000)).toBe(0);
    expect(pace.take(99_000)).toBe(20);
  });

  test("no limit, no wait", () => {
    const pace = new Pace(0);
    for (let i = 0; i < 1000; i++) expect(pace.take(5)).toBe(0);
  });
});
