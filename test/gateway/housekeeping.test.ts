import { expect, test } from "bun:test";
import fc from "fast-check";
import { closeSlowest } from "../../src/gateway/housekeeping.ts";
import { slowConnection } from "./connections.ts";

/** @returns unsent bytes of those that are closed, in order */
function closed(unsent: readonly number[], maxBytes: number): number[] {
  const order: number[] = [];
  const connections = new Set(
    unsent.map((bytes) => slowConnection(bytes, () => order.push(bytes))),
  );
  closeSlowest(connections, maxBytes);
  return order;
}

test("nobody is closed while all unsent bytes are within the limit", () => {
  expect(closed([], 10)).toEqual([]);
  expect(closed([5, 5, 0], 10)).toEqual([]);
  expect(closed([1e12], Infinity)).toEqual([]);
});

test("the slowest are closed first, and no more than needed", () => {
  expect(closed([5, 6, 0], 10)).toEqual([6]);
  expect(closed([1, 9, 5, 7], 8)).toEqual([9, 7]);
});

test("what is left is within the limit, and with one more it would not be", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 1000 }), { maxLength: 50 }),
      fc.nat({ max: 20_000 }),
      (unsent, maxBytes) => {
        const gone = closed(unsent, maxBytes);
        const sum = (list: readonly number[]): number =>
          list.reduce((a, b) => a + b, 0);
        const left = sum(unsent) - sum(gone);
        expect(left).toBeLessThanOrEqual(maxBytes);
        if (gone.length > 0)
          expect(left + gone.at(-1)!).toBeGreaterThan(maxBytes);
        const largest = unsent.toSorted((a, b) => b - a);
        expect(gone).toEqual(largest.slice(0, gone.length));
      },
    ),
  );
});
