import { expect, test } from "bun:test";
import {
  AVATAR_COLOURS,
  colourOf,
  initials,
  isolate,
  typingNote,
} from "../../../src/web/text/people.ts";

test.each([
  ["Ann", "A"],
  ["Ann Bell", "AB"],
  ["ann van der bell", "AB"],
  ["user_17", "U1"],
  ["  ", "?"],
  ["", "?"],
  ["👩‍👩‍👧 family", "👩‍👩‍👧F"],
  ["\u202eevil", "E"],
  ["é", "É"],
])("%j has the initials %s", (name, wanted) => {
  expect(initials(name)).toBe(wanted);
});

test("a user has one colour, and users differ", () => {
  const ids = Array.from({ length: 200 }, (_, i) => `guest:${i}`);
  const colours = ids.map(colourOf);
  expect(ids.map(colourOf)).toEqual(colours);
  expect(new Set(colours).size).toBe(AVATAR_COLOURS);
  for (const colour of colours) expect(colour).toBeWithin(0, AVATAR_COLOURS);
});

test("the style sheet has all colours", async () => {
  const css = await Bun.file(
    new URL("../../../src/web/style/theme.css", import.meta.url),
  ).text();
  for (let i = 0; i < AVATAR_COLOURS; i++)
    expect(css).toContain(`.colour-${i} {`);
});

test("who is typing is one sentence, and a name cannot reorder it", () => {
  const plain = (names: string[]) =>
    typingNote(names).replace(/[\u2068\u2069]/g, "");
  expect(plain([])).toBe("");
  expect(plain(["Ann"])).toBe("Ann is typing");
  expect(plain(["Ann", "Bob"])).toBe("Ann and Bob are typing");
  expect(plain(["Ann", "Bob", "Mia"])).toBe("Several people are typing");
  expect(isolate("\u202eAnn\u2069")).toBe("\u2068Ann\u2069");
});
