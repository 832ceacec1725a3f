import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Entry } from "../../src/gateway/entry.ts";
import { Ring, RingBudget } from "../../src/gateway/ring.ts";

function entry(seq: number, prev = seq - 1, bytes = 1, ts = 0): Entry {
  return new Entry(
    {
      action: "receive_message",
      room: "general",
      seq,
      from: "n",
      user: "u",
      text: "",
      ts: 0,
    },
    seq,
    prev,
    ts,
    bytes,
    0,
  );
}

const seqs = (entries: readonly Entry[] | undefined): number[] | undefined =>
  entries?.map((e) => e.seq);

function ringOf(maxEvents: number, ...pushed: Entry[]): Ring {
  const ring = new Ring(maxEvents, new RingBudget(Infinity));
  for (const e of pushed) ring.push(e);
  return ring;
}

describe("a range", () => {
  const ring = ringOf(3, ...[1, 2, 3, 4, 5].map((seq) => entry(seq)));

  test("that the ring holds whole comes back ascending", () => {
    expect(seqs(ring.range(2, 5))).toEqual([3, 4, 5]);
    expect(seqs(ring.range(3, 4))).toEqual([4]);
    expect(seqs(ring.range(4, 100))).toEqual([5]);
  });

  test("that starts before the ring's first event is unknown", () => {
    expect(ring.range(1, 5)).toBeUndefined();
    expect(ring.range(0, 1)).toBeUndefined();
  });

  test("that is empty is empty, whatever the ring holds", () => {
    expect(ring.range(5, 5)).toEqual([]);
    expect(ring.range(1, 1)).toEqual([]);
    expect(ring.range(3, 2)).toEqual([]);
    expect(ringOf(3).range(0, 0)).toEqual([]);
  });

  test("of an empty ring is unknown", () => {
    expect(ringOf(3).range(0, 1)).toBeUndefined();
  });

  test("starts at any position from prev on where seqs have holes", () => {
    const holes = ringOf(2, entry(10, 4), entry(20, 10), entry(30, 20));
    expect(seqs(holes.range(10, 30))).toEqual([20, 30]);
    expect(seqs(holes.range(15, 29))).toEqual([20]);
    expect(holes.range(9, 30)).toBeUndefined();
  });
});

describe("the latest", () => {
  const ring = ringOf(4, ...[1, 2, 3, 4, 5, 6].map((seq) => entry(seq)));

  test("come back ascending where the ring has an older one still", () => {
    expect(seqs(ring.latest(6, 3))).toEqual([4, 5, 6]);
    expect(seqs(ring.latest(5, 2))).toEqual([4, 5]);
    expect(seqs(ring.latest(100, 1))).toEqual([6]);
  });

  test("are unknown where there may be older ones that the ring lacks", () => {
    expect(ring.latest(6, 4)).toBeUndefined();
    expect(ring.latest(3, 1)).toBeUndefined();
    expect(ring.latest(2, 1)).toBeUndefined();
    expect(ringOf(4).latest(0, 1)).toBeUndefined();
  });
});

test("a ring larger than the budget for all gives its oldest up", () => {
  const budget = new RingBudget(10);
  const ring = new Ring(100, budget);
  for (const seq of [1, 2, 3]) ring.push(entry(seq, seq - 1, 4));
  expect(seqs(ring.range(1, 3))).toEqual([2, 3]);
  expect(budget.bytes).toBe(8);
});

test("an entry larger than the budget is not kept, and leaves nothing behind", () => {
  const budget = new RingBudget(10);
  const ring = new Ring(100, budget);
  ring.push(entry(1));
  ring.push(entry(2, 1, 11));
  expect(ring.length).toBe(0);
  expect(budget.bytes).toBe(0);
  ring.push(entry(3));
  expect(ring.range(1, 3)).toBeUndefined();
  expect(seqs(ring.range(2, 3))).toEqual([3]);
});

test("events from before a time are forgotten, and count no more", () => {
  const budget = new RingBudget(Infinity);
  const ring = new Ring(10, budget);
  for (const seq of [1, 2, 3]) ring.push(entry(seq, seq - 1, 4, seq * 100));
  ring.dropBefore(200);
  expect(ring.range(0, 3)).toBeUndefined();
  expect(seqs(ring.range(1, 3))).toEqual([2, 3]);
  expect(budget.bytes).toBe(8);
  ring.dropBefore(1000);
  expect([ring.length, budget.bytes]).toEqual([0, 0]);
});

test("the ring that rested longest is emptied first", () => {
  const budget = new RingBudget(10);
  const [a, b, c] = [1, 2, 3].map(() => new Ring(100, budget));
  a!.push(entry(1, 0, 4));
  b!.push(entry(1, 0, 2));
  a!.push(entry(2, 1, 4));
  c!.push(entry(1, 0, 2));
  expect([a!.length, b!.length, c!.length]).toEqual([2, 0, 1]);
});

test("rings of all rooms agree with plain lists, whatever is pushed and cleared", () => {
  const operation = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        ring: fc.nat({ max: 3 }),
        bytes: fc.integer({ min: 1, max: 40 }),
        gap: fc.constantFrom(0, 0, 3),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        ring: fc.nat({ max: 3 }),
        clear: fc.constant(true),
      }),
    },
  );
  const query = fc.record({
    ring: fc.nat({ max: 3 }),
    after: fc.nat({ max: 40 }),
    upto: fc.nat({ max: 40 }),
    limit: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 60 }),
      fc.array(query, { maxLength: 30 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 10, max: 300 }),
      (operations, queries, maxEvents, maxBytes) => {
        const budget = new RingBudget(maxBytes);
        const rings = [0, 1, 2, 3].map(() => new Ring(maxEvents, budget));
        const lists: Entry[][] = [[], [], [], []];
        const heads = [0, 0, 0, 0];
        // Rings by their last push, the longest ago first.
        let order: number[] = [];
        const total = (): number =>
          lists.flat().reduce((bytes, e) => bytes + e.bytes, 0);
        for (const step of operations) {
          if ("clear" in step) {
            rings[step.ring]!.clear();
            lists[step.ring] = [];
            order = order.filter((i) => i !== step.ring);
          } else {
            const prev = heads[step.ring]!;
            const seq = (heads[step.ring] = prev + 1 + step.gap);
            const pushed = entry(seq, prev, step.bytes);
            rings[step.ring]!.push(pushed);
            lists[step.ring]!.push(pushed);
            if (lists[step.ring]!.length > maxEvents) lists[step.ring]!.shift();
            order = [...order.filter((i) => i !== step.ring), step.ring];
            while (total() > maxBytes) {
              if (order[0] === step.ring) lists[step.ring]!.shift();
              else lists[order.shift()!] = [];
            }
          }
          expect(budget.bytes).toBe(total());
          expect(rings.map((ring) => ring.length)).toEqual(
            lists.map((list) => list.length),
          );
        }
        for (const { ring, after, upto, limit } of queries) {
          const list = lists[ring]!;
          const reaches = list.length > 0 && list[0]!.prev <= after;
          const range =
            after >= upto
              ? []
              : reaches
                ? list.filter((e) => e.seq > after && e.seq <= upto)
                : undefined;
          expect(rings[ring]!.range(after, upto)).toEqual(range);
          const older = list.filter((e) => e.seq <= upto);
          const latest = older.length > limit ? older.slice(-limit) : undefined;
          expect(rings[ring]!.latest(upto, limit)).toEqual(latest);
        }
      },
    ),
    { numRuns: 300 },
  );
});
