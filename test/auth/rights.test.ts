import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  MAX_PATTERNS,
  RIGHTS,
  parsePattern,
  readGrants,
} from "../../src/auth/rights.ts";

const opens = (pattern: string, room: string): boolean =>
  readGrants({ [pattern]: ["join"] }).of(room) === RIGHTS.join;

describe("a pattern", () => {
  test.each([
    ["team-*", "team-a", true],
    ["team-*", "team-", true],
    ["team-*", "team", false],
    ["team-*", "steam-a", false],
    ["team-*", "Team-a", false],
    ["team-*", "team-a-secret", true],
    ["team", "team-a", false],
    ["team", "team", true],
    ["*", "anything", true],
    ["*-public", "a-public", true],
    ["*-public", "a-public-not", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["a*b*c", "abc", true],
    ["a*b*c", "aXbYbZc", true],
    ["a*b*c", "acb", false],
    ["a*bc*c", "abc", false],
    ["**", "x", true],
    ["a**b", "ab", true],
    // What means something in other languages of patterns means itself here.
    ["team-?", "team-a", false],
    ["team-[ab]", "team-a", false],
    ["team-{a,b}", "team-a", false],
    ["team-.", "team-a", false],
    ["team-a|b", "b", false],
    ["team-a$", "team-a", false],
    ["\\*", "*", false],
    ["../*", "secret", false],
    // A room whose name has an asterisk is a room like any other.
    ["team-*", "team-*", true],
    ["team-a", "team-*", false],
    ["*", "*", true],
    // Unicode: the same letter written in two ways are two rooms, as everywhere in the server.
    ["caf\u00e9", "cafe\u0301", false],
    ["\u00e9*", "\u00c9x", false],
    ["stra\u00dfe", "strasse", false],
    ["\u212a", "k", false],
    ["admin", "\u0430dmin", false],
    ["team\u200b-*", "team-a", false],
    ["🦉*", "🦉x", true],
    ["🦉", "🦊", false],
    // Names of what every object has.
    ["constructor", "constructor", true],
    ["__proto__", "x", false],
  ])("%p opens %p: %p", (pattern, room, expected) => {
    expect(opens(pattern, room)).toBe(expected);
  });

  test("does what a regular expression of it does, whatever name it is given", () => {
    const word = fc.string({
      unit: fc.constantFrom("a", "b", "*", "-", "🦉"),
      maxLength: 12,
    });
    fc.assert(
      fc.property(word, word, (pattern, room) => {
        fc.pre(pattern !== "");
        const expression = new RegExp(
          `^${pattern.replaceAll("*", "[^]*")}$`,
          "u",
        );
        expect(opens(pattern, room)).toBe(expression.test(room));
      }),
      { numRuns: 5000 },
    );
  });

  test("costs no more than the lengths say, also where a regular expression would try for years", () => {
    // With backtracking this does not end: some 10^30 ways to place the asterisks.
    const pattern = `${"*a".repeat(60)}*b`;
    expect(opens(pattern, "a".repeat(128))).toBe(false);
  });

  test("that is no name is refused, and so is more than a token may hold", () => {
    for (const bad of ["", "a\nb", "\ud800", "x".repeat(129), "ü".repeat(65)])
      expect(() => readGrants({ [bad]: ["join"] })).toThrow("pattern");
    const many = (count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, i) => [`r${i}`, ["join"]]),
      );
    expect(readGrants(many(MAX_PATTERNS)).of("r63")).toBe(RIGHTS.join);
    expect(() => readGrants(many(MAX_PATTERNS + 1))).toThrow("64");
  });
});

describe("rights", () => {
  test("of all patterns that match add up", () => {
    const grants = readGrants({
      "*": ["join"],
      "team-*": ["send"],
      "team-a": ["history", "moderate"],
      other: ["moderate"],
    });
    const { join, send, history, moderate } = RIGHTS;
    expect(grants.of("x")).toBe(join);
    expect(grants.of("team-b")).toBe(join | send);
    expect(grants.of("team-a")).toBe(join | send | history | moderate);
    expect(readGrants({}).of("x")).toBe(0);
  });

  test("with names nobody knows give nothing, not even by names that every object has", () => {
    const grants = readGrants({
      "*": ["JOIN", " join", "admin", "constructor", "__proto__", "toString"],
    });
    expect(grants.of("x")).toBe(0);
  });

  test("are written pattern:rights; the last colon counts", () => {
    expect(parsePattern("team-*:join,send")).toEqual({
      pattern: "team-*",
      names: ["join", "send"],
    });
    expect(parsePattern("a:b:join").pattern).toBe("a:b");
    expect(parsePattern("lobby").names).toEqual(["join", "send", "history"]);
    for (const bad of ["", ":join", "a:", "a:joyn", "a:join,", "a:join, send"])
      expect(() => parsePattern(bad)).toThrow();
  });
});
