import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DedupeKeys } from "../../../src/broker/embedded/dedupe.ts";

/** All rows that a look-up offers, in the order of their age. */
function candidates(keys: DedupeKeys, hash: number): number[] {
  const rows: number[] = [];
  keys.find(hash, (row) => {
    rows.push(row);
    return undefined;
  });
  return rows.sort((a, b) => a - b);
}

/** What the table must agree with: a queue, and a Map from each hash to its rows. */
class Model {
  readonly queue: { hash: number; row: number }[] = [];
  readonly byHash = new Map<number, number[]>();

  constructor(private readonly maxKeys: number) {}

  add(hash: number, row: number): void {
    if (this.maxKeys === 0) return;
    if (this.queue.length === this.maxKeys) this.dropOldest();
    this.queue.push({ hash, row });
    const rows = this.byHash.get(hash);
    if (rows) rows.push(row);
    else this.byHash.set(hash, [row]);
  }

  dropOldest(): void {
    const oldest = this.queue.shift();
    if (!oldest) return;
    const rows = this.byHash.get(oldest.hash)!;
    rows.shift();
    if (rows.length === 0) this.byHash.delete(oldest.hash);
  }
}

describe("agrees with a Map and a queue, whatever comes and goes", () => {
  // Hashes that collide, that are neighbours, and whose probes run over the end of a table of 2,048, 4,096 and 8,192.
  const colliding = fc.oneof(
    fc.constantFrom(0, 1, 2, 2045, 2046, 2047, 4095, 8190, 8191, 0xffffffff),
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 2040, max: 2060 }),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  const operation = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("add" as const),
        hashes: fc.array(colliding, {
          minLength: 1,
          maxLength: 50,
          size: "max",
        }),
        // Many keys at once, so that the table grows and its entries wrap around.
        times: fc.constantFrom(1, 1, 1, 30),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("drop" as const),
        count: fc.integer({ min: 1, max: 300 }),
      }),
    },
  );

  test.each([0, 1, 2, 7, 1023, 1024, 1025, 3000])(
    "with at most %d keys",
    (maxKeys) => {
      fc.assert(
        fc.property(
          fc.array(operation, { maxLength: 15, size: "max" }),
          (operations) => {
            const keys = new DedupeKeys(maxKeys);
            const model = new Model(maxKeys);
            const used = new Set<number>();
            let row = 0;
            for (const step of operations) {
              if (step.kind === "drop")
                for (let i = 0; i < step.count; i++) {
                  keys.dropOldest();
                  model.dropOldest();
                }
              else
                for (let i = 0; i < step.times; i++)
                  for (const hash of step.hashes) {
                    row++;
                    used.add(hash);
                    keys.add(hash, row);
                    model.add(hash, row);
                  }
              expect(keys.size).toBe(model.queue.length);
              expect(keys.oldestRow).toBe(model.queue[0]?.row ?? Infinity);
            }
            for (const hash of used)
              expect(candidates(keys, hash)).toEqual(
                model.byHash.get(hash) ?? [],
              );
          },
        ),
        { numRuns: 40 },
      );
    },
  );
});

test("keys that all collide are told apart by what the caller accepts", () => {
  const keys = new DedupeKeys(100);
  for (let row = 1; row <= 150; row++) keys.add(7, row);
  const find = (wanted: number): string | undefined =>
    keys.find(7, (row) => (row === wanted ? `row ${row}` : undefined));
  expect(find(50)).toBeUndefined();
  for (let row = 51; row <= 150; row++) expect(find(row)).toBe(`row ${row}`);
});

test("a look-up ends at the first candidate that is accepted", () => {
  const keys = new DedupeKeys(10);
  for (let row = 1; row <= 5; row++) keys.add(7, row);
  let asked = 0;
  expect(keys.find(7, (row) => (asked++, row))).toBe(1);
  expect(asked).toBe(1);
});

test("an unknown key finds nothing, and dropping from an empty table does nothing", () => {
  const keys = new DedupeKeys(10);
  keys.dropOldest();
  expect(candidates(keys, 0)).toEqual([]);
  expect(keys.size).toBe(0);
  expect(keys.oldestRow).toBe(Infinity);
});

test("row numbers may be larger than 32 bits", () => {
  const keys = new DedupeKeys(2);
  const row = 2 ** 40 + 1;
  keys.add(1, row);
  expect(candidates(keys, 1)).toEqual([row]);
});

describe("a key's hash", () => {
  const keys = new DedupeKeys(1);

  test("is the same every time, and 32 bits wide", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (room, user, id) => {
        const hash = keys.hash(room, user, id);
        expect(keys.hash(room, user, id)).toBe(hash);
        expect(hash >>> 0).toBe(hash);
      }),
    );
  });

  test("depends on room, user and id, and on where one ends", () => {
    const hashes = [
      ["room", "user", "id"],
      ["moor", "user", "id"],
      ["room", "resu", "id"],
      ["room", "user", "di"],
      ["roomu", "ser", "id"],
      ["room", "useri", "d"],
    ].map(([room, user, id]) => keys.hash(room!, user!, id!));
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test("is another one in another table: nobody can prepare keys that collide", () => {
    const hashes = Array.from({ length: 8 }, () =>
      new DedupeKeys(1).hash("room", "user", "id"),
    );
    expect(new Set(hashes).size).toBeGreaterThan(1);
  });
});
