import { expect, test } from "bun:test";
import fc from "fast-check";
import { Deque } from "../../src/collections/deque.ts";

test("a new deque is empty and starts at position 0", () => {
  const deque = new Deque<string>();
  expect([deque.start, deque.end, deque.length]).toEqual([0, 0, 0]);
  expect(deque.shift()).toBeUndefined();
  expect(deque.start).toBe(0);
});

test("an item keeps its position while others leave before it", () => {
  const deque = new Deque<string>();
  for (const item of ["a", "b", "c"]) deque.push(item);
  deque.shift();
  expect(deque.start).toBe(1);
  expect(deque.at(2)).toBe("c");
  deque.set(2, "C");
  deque.shift();
  expect(deque.at(2)).toBe("C");
  expect(deque.shift()).toBe("C");
  expect([deque.start, deque.end]).toEqual([3, 3]);
});

test("it agrees with an array that never forgets, whatever is pushed, shifted and set", () => {
  const operation = fc.oneof(
    fc.record({
      kind: fc.constant("push" as const),
      count: fc.integer({ min: 1, max: 80 }),
    }),
    fc.record({
      kind: fc.constant("shift" as const),
      count: fc.integer({ min: 1, max: 80 }),
    }),
    fc.record({
      kind: fc.constant("set" as const),
      count: fc.integer({ min: 0, max: 1000 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const deque = new Deque<number>();
      const all: number[] = [];
      let start = 0;
      let fresh = 0;
      for (const { kind, count } of operations) {
        if (kind === "push")
          for (let i = 0; i < count; i++) {
            deque.push(fresh);
            all.push(fresh++);
          }
        else if (kind === "shift")
          for (let i = 0; i < count; i++)
            expect(deque.shift()).toBe(
              start < all.length ? all[start++] : undefined,
            );
        else if (start < all.length) {
          const position = start + (count % (all.length - start));
          deque.set(position, fresh);
          all[position] = fresh++;
        }
        expect(deque.start).toBe(start);
        expect(deque.end).toBe(all.length);
        expect(deque.length).toBe(all.length - start);
        const held = Array.from({ length: deque.length }, (_, i) =>
          deque.at(start + i),
        );
        expect(held).toEqual(all.slice(start));
      }
    }),
  );
});
