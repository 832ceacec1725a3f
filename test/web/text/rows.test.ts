import { expect, test } from "bun:test";
import { startsDay, startsGroup } from "../../../src/web/text/rows.ts";
import { dayName } from "../../../src/web/text/time.ts";

const noon = new Date(2026, 4, 12, 12).getTime();
const said = (ts: number, user = "a", from = "Ann") => ({ ts, user, from });
const MINUTE = 60_000;

test("one author's messages stand together for a while", () => {
  const first = said(noon);
  expect(startsGroup(undefined, first)).toBe(true);
  expect(startsGroup(first, said(noon + MINUTE))).toBe(false);
  expect(startsGroup(first, said(noon + 6 * MINUTE))).toBe(true);
  expect(startsGroup(first, said(noon + MINUTE, "b"))).toBe(true);
  // The same name is not the same author, nor is an author under another name.
  expect(startsGroup(first, said(noon, "b", "Ann"))).toBe(true);
  expect(startsGroup(first, said(noon, "a", "Anna"))).toBe(true);
});

test("a day starts at local midnight", () => {
  const late = said(new Date(2026, 4, 12, 23, 59).getTime());
  const early = said(new Date(2026, 4, 13, 0, 1).getTime());
  expect(startsDay(undefined, late)).toBe(true);
  expect(startsDay(late, early)).toBe(true);
  expect(startsGroup(late, early)).toBe(true);
  expect(startsDay(said(noon), late)).toBe(false);
});

test("days have names", () => {
  expect(dayName(noon, noon + MINUTE)).toBe("Today");
  expect(dayName(new Date(2026, 4, 11, 23, 59).getTime(), noon)).toBe(
    "Yesterday",
  );
  const other = dayName(new Date(2026, 2, 3).getTime(), noon);
  expect(other).toContain("3");
  expect(other).not.toContain("2026");
  expect(dayName(new Date(2024, 2, 3).getTime(), noon)).toContain("2024");
});
