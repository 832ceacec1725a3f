import { describe, expect, test } from "bun:test";
import { ApiKeys } from "../../src/api/keys.ts";

const KEY = "0123456789abcdef";
const OTHER = "another-key-of-theirs";

describe("keys", () => {
  const keys = new ApiKeys(` ${KEY} ,${OTHER}`);

  test("each opens, in any case of Bearer", () => {
    expect(keys.open(`Bearer ${KEY}`)).toBe(true);
    expect(keys.open(`bearer ${OTHER}`)).toBe(true);
  });

  test.each([
    null,
    "",
    "Bearer",
    "Bearer ",
    KEY,
    `Basic ${KEY}`,
    `Bearer ${KEY}x`,
    `Bearer ${KEY.slice(1)}`,
    `Bearer ${KEY},${OTHER}`,
    `Bearer ${KEY} ${OTHER}`,
    `Bearer ${KEY.toUpperCase()}`,
  ])("%p does not", (header) => expect(keys.open(header)).toBe(false));

  test("none open where there are none", () => {
    const none = new ApiKeys("");
    expect(none.any).toBe(false);
    expect(none.open("Bearer ")).toBe(false);
    expect(new ApiKeys(KEY).any).toBe(true);
  });
});
