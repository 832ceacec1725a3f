import { expect, test } from "bun:test";
import fc from "fast-check";
import { firstAfter } from "../../src/collections/first-after.ts";

const itself = (name: string): string => name;

test("gives what sorting and cutting would give", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 })),
      fc.string({ maxLength: 2 }),
      fc.integer({ min: 0, max: 5 }),
      (names, after, limit) => {
        const sorted = names
          .filter((name) => name > after)
          .toSorted((a, b) => (a < b ? -1 : 1));
        const items = names.map((name) => ({ name }));
        const found = firstAfter(items, ({ name }) => name, after, limit);
        expect(found.map(({ name }) => name)).toEqual(sorted.slice(0, limit));
      },
    ),
  );
});

test("pages through everything, each once", () => {
  const names = Array.from({ length: 50 }, (_, i) => `n${i}`);
  const seen: string[] = [];
  for (let after = ""; ; after = seen.at(-1)!) {
    const page = firstAfter(names, itself, after, 7);
    seen.push(...page);
    if (page.length < 7) break;
  }
  expect(seen).toEqual(names.toSorted());
});
