import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CODECS } from "../../src/protocol/codecs.ts";
import { Slices, type Slice } from "../../src/gateway/slices.ts";

function slicesOf(maxMembers: number, ...positions: number[]): Slices {
  const slices = new Slices("general", maxMembers);
  for (const position of positions) slices.add(position, position);
  return slices;
}

describe("a place for a new member", () => {
  test("is in no slice where there is none", () => {
    expect(slicesOf(2).find(0)).toBeUndefined();
  });

  test("is never in a slice that is full", () => {
    const slices = slicesOf(2, 5, 5);
    const [first, second] = slices.all;
    for (let i = 0; i < 2; i++) slices.join(first!, 0);
    expect(slices.find(0)).toBe(second);
    for (let i = 0; i < 2; i++) slices.join(second!, 1);
    expect(slices.find(0)).toBeUndefined();
    slices.leave(first!, 0);
    expect(slices.find(0)).toBe(first);
  });

  test("is never in a slice behind what the member has", () => {
    const slices = slicesOf(2, 3, 5, 9);
    const [first, second, third] = slices.all;
    expect(slices.find(0)).toBe(first);
    expect(slices.find(3)).toBe(first);
    expect(slices.find(4)).toBe(second);
    expect(slices.find(9)).toBe(third);
    expect(slices.find(10)).toBeUndefined();
  });
});

test("each slice has a topic of its own for each codec", () => {
  const { all } = slicesOf(2, 0, 0, 0);
  const topics = all.flatMap((slice) => slice.topics);
  expect(all[1]!.topics).toEqual([
    "general#1/json",
    "general#1/msgpack",
    "general#1/text",
  ]);
  expect(new Set(topics).size).toBe(all.length * CODECS.length);
});

test("a fresh slice has everything before it, and nothing of what comes", () => {
  const slice = new Slices("general", 2).add(7, 42);
  expect([slice.cursor, slice.position, slice.members]).toEqual([7, 42, 0]);
});

describe("taking turns", () => {
  test("gives each slice that lags one turn before any gets a second", () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
        fc.nat({ max: 30 }),
        (lagging, turnsBefore) => {
          const slices = slicesOf(1, ...lagging.map(() => 0));
          for (let i = 0; i < turnsBefore; i++) slices.next(1);
          slices.all.forEach((slice, i) => {
            slice.cursor = lagging[i] ? 5 : 6;
          });
          const turns: Slice[] = [];
          for (let slice; (slice = slices.next(6));) {
            turns.push(slice);
            slice.cursor = 6;
          }
          const expected = slices.all.filter((_, i) => lagging[i]);
          expect(new Set(turns)).toEqual(new Set(expected));
          expect(turns).toHaveLength(expected.length);
        },
      ),
    );
  });

  test("goes round while new entries come", () => {
    const slices = slicesOf(1, 0, 0, 0);
    const turns: number[] = [];
    for (let end = 1; end <= 9; end++) {
      const slice = slices.next(end)!;
      turns.push(slice.index);
      slice.cursor = end;
    }
    expect(turns).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  test("ends where all have everything, or there are none", () => {
    expect(slicesOf(1).next(5)).toBeUndefined();
    expect(slicesOf(1, 5, 5).next(5)).toBeUndefined();
  });
});

test("the lowest cursor is that of the slice furthest behind", () => {
  expect(slicesOf(1).lowest(9)).toBe(9);
  expect(slicesOf(1, 7, 3, 5).lowest(9)).toBe(3);
});

test("members are counted per slice and codec, and slices at the end that are empty go", () => {
  const operation = fc.record({
    join: fc.boolean(),
    pick: fc.nat(),
    codec: fc.integer({ min: 0, max: CODECS.length - 1 }),
  });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      (operations, maxMembers) => {
        const slices = new Slices("general", maxMembers);
        const members: { slice: Slice; codec: number }[] = [];
        for (const { join, pick, codec } of operations) {
          if (join) {
            const slice = slices.find(0) ?? slices.add(0, 0);
            slices.join(slice, codec);
            members.push({ slice, codec });
          } else if (members.length > 0) {
            const [gone] = members.splice(pick % members.length, 1);
            slices.leave(gone!.slice, gone!.codec);
          }
          const used = Math.max(-1, ...members.map((m) => m.slice.index));
          expect(slices.length).toBe(used + 1);
          slices.all.forEach((slice, index) => {
            const own = members.filter((m) => m.slice === slice);
            expect(slice.index).toBe(index);
            expect(slice.members).toBe(own.length);
            expect(slice.members).toBeLessThanOrEqual(maxMembers);
            expect(slice.counts).toEqual(
              CODECS.map((c) => own.filter((m) => m.codec === c.index).length),
            );
          });
        }
      },
    ),
  );
});
