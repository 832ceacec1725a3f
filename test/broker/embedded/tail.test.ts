import { expect, test } from "bun:test";
import fc from "fast-check";
import { Tail } from "../../../src/broker/embedded/tail.ts";

test("a room that has nothing in the log is unknown", () => {
  const tail = new Tail();
  expect(tail.room("general")).toBeUndefined();
  expect(tail.count).toBe(0);
  tail.moved(100);
  expect(tail.count).toBe(0);
});

test("a room starts at the first seq that history lacks", () => {
  const tail = new Tail();
  tail.add("a", 7, 100);
  tail.add("b", 1, 101);
  tail.add("a", 8, 102);
  tail.moved(100);
  expect(tail.room("a")).toEqual({ first: 8, rows: [102] });
  expect(tail.room("b")).toEqual({ first: 1, rows: [101] });
  tail.moved(102);
  expect(tail.room("a")).toBeUndefined();
  tail.add("a", 9, 103);
  expect(tail.room("a")).toEqual({ first: 9, rows: [103] });
  expect(tail.count).toBe(1);
});

test("it agrees with a plain list of events, whatever is added and moved", () => {
  const rooms = ["a", "b", "c"];
  const operation = fc.oneof(
    fc.record({ room: fc.constantFrom(...rooms), skip: fc.nat({ max: 2 }) }),
    fc.record({ moved: fc.nat({ max: 20 }) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const tail = new Tail();
      const heads = new Map<string, number>();
      let events: { room: string; seq: number; row: number }[] = [];
      let row = 0;
      let moved = 0;
      for (const step of operations) {
        if ("room" in step) {
          // Row numbers may have holes.
          row += 1 + step.skip;
          const seq = (heads.get(step.room) ?? 0) + 1;
          heads.set(step.room, seq);
          events.push({ room: step.room, seq, row });
          tail.add(step.room, seq, row);
        } else {
          // History never holds more than there is, and never less than before.
          moved = Math.min(row, moved + step.moved);
          events = events.filter((event) => event.row > moved);
          tail.moved(moved);
        }
        expect(tail.count).toBe(events.length);
        for (const room of rooms) {
          const own = events.filter((event) => event.room === room);
          const held = tail.room(room);
          expect(held?.rows ?? []).toEqual(own.map((event) => event.row));
          expect(held?.first).toBe(own[0]?.seq);
        }
      }
    }),
    { numRuns: 200 },
  );
});
