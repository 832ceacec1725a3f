import { expect, test } from "bun:test";
import { bytesOver, nameProblem } from "../../../src/web/text/limits.ts";

test("bytes above a limit are counted as UTF-8", () => {
  expect(bytesOver("abcd", 4)).toBe(0);
  expect(bytesOver("abcde", 4)).toBe(1);
  expect(bytesOver("ää", 4)).toBe(0);
  expect(bytesOver("äää", 4)).toBe(2);
  expect(bytesOver("👋", 4)).toBe(0);
  expect(bytesOver("x".repeat(1_000_000), 0)).toBe(0);
});

test("names are checked as the server does", () => {
  expect(nameProblem("Ann Bell", 64)).toBeUndefined();
  expect(nameProblem("x".repeat(65), 64)).toContain("1 byte");
  expect(nameProblem("a\nb", 64)).toContain("Control");
  expect(nameProblem("a\u2028b", 64)).toContain("Control");
  expect(nameProblem("..", 64)).toContain("Dots");
  expect(nameProblem("a\ud800", 64)).toContain("half");
});
