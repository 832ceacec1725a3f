import { expect, test } from "bun:test";
import fc from "fast-check";
import { SequenceTally } from "../../bench/load/sequence-tally.ts";

function take(numbers: number[], total: number) {
  const tally = new SequenceTally(2);
  const firsts = numbers.filter((number) => tally.take(1, number)).length;
  const { doubled, reordered } = tally;
  return { firsts, doubled, reordered, lost: tally.lost(1, total) };
}

test("tells lost, doubled and reordered apart", () => {
  const clean = { firsts: 4, doubled: 0, reordered: 0, lost: 0 };
  expect(take([0, 1, 2, 3], 4)).toEqual(clean);
  expect(take([0, 1, 2, 3], 6)).toEqual({ ...clean, lost: 2 });
  expect(take([0, 2, 3], 4)).toEqual({ ...clean, firsts: 3, lost: 1 });
  expect(take([0, 1, 1, 2, 3, 0], 4)).toEqual({ ...clean, doubled: 2 });
  expect(take([0, 2, 1, 3], 4)).toEqual({ ...clean, reordered: 1 });
  // A late one that comes twice is one of each.
  expect(take([0, 2, 1, 1, 3], 4)).toEqual({
    ...clean,
    reordered: 1,
    doubled: 1,
  });
});

test("agrees with counting by hand, whatever happens to the numbers", () => {
  const fate = fc.constantFrom("arrive", "lose", "double", "delay");
  fc.assert(
    fc.property(fc.array(fate, { maxLength: 60 }), (fates) => {
      const arrivals: number[] = [];
      const delayed: number[] = [];
      fates.forEach((what, number) => {
        if (what === "lose") return;
        if (what === "delay") return void delayed.push(number);
        arrivals.push(number, ...(what === "double" ? [number] : []));
      });
      arrivals.push(...delayed);
      const highest = arrivals.map((_, i) =>
        Math.max(-1, ...arrivals.slice(0, i)),
      );
      const seen = (i: number): boolean => arrivals.indexOf(arrivals[i]!) < i;
      expect(take(arrivals, fates.length)).toEqual({
        firsts: new Set(arrivals).size,
        lost: fates.length - new Set(arrivals).size,
        doubled: arrivals.filter((_, i) => seen(i)).length,
        reordered: arrivals.filter((n, i) => !seen(i) && n < highest[i]!)
          .length,
      });
    }),
  );
});

test("slots do not touch each other", () => {
  const tally = new SequenceTally(3);
  for (const number of [0, 1, 2]) tally.take(0, number);
  tally.take(2, 1);
  expect([0, 1, 2].map((slot) => tally.lost(slot, 3))).toEqual([0, 3, 2]);
});

test("a gap beyond memory is counted all the same", () => {
  const tally = new SequenceTally(1);
  tally.take(0, 3_000_000);
  expect(tally.lost(0, 3_000_001) + tally.lostElsewhere).toBe(3_000_000);
});

test("added slots leave the counts of the others alone", () => {
  const tally = new SequenceTally(0);
  const first = tally.addSlots(2);
  expect(first).toBe(0);
  tally.take(1, 0);
  tally.take(1, 2);
  for (let slot = 2; slot < 50; slot += 3) {
    expect(tally.addSlots(3)).toBe(slot);
    expect(tally.take(slot + 2, 0)).toBe(true);
    expect(tally.lost(slot + 2, 1)).toBe(0);
    expect(tally.lost(slot + 1, 1)).toBe(1);
  }
  expect(tally.take(1, 0)).toBe(false);
  expect(tally).toMatchObject({ doubled: 1, reordered: 0 });
  expect(tally.lost(1, 3)).toBe(1);
});
