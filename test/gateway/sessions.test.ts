import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Sessions } from "../../src/gateway/sessions.ts";
import { anyName, anyText } from "../protocol/arbitraries.ts";

const DAY_MS = 86_400_000;
const NOW = 1_700_000_000_123;
const KEY = new Uint8Array(32).fill(7);
const BOB = { id: "guest:abc", name: "Bob" };

const sessions = new Sessions(KEY, 30);
const anyUser = fc.record({ id: anyName, name: anyName });

test("a session gives its user back, whatever the name", () => {
  fc.assert(
    fc.property(anyUser, fc.nat({ max: 30 * DAY_MS - 2000 }), (user, later) => {
      const token = sessions.issue(user, NOW);
      expect(sessions.verify(token, NOW + later)).toEqual(user);
      // It goes into a URL as it is.
      expect(encodeURIComponent(token)).toBe(token);
    }),
  );
});

test("a session outlives a restart with the same key, given as bytes or as text", () => {
  const token = sessions.issue(BOB, NOW);
  expect(new Sessions(Buffer.from(KEY), 1).verify(token, NOW)).toEqual(BOB);
  const byText = new Sessions("secret", 30).issue(BOB, NOW);
  expect(new Sessions("secret", 30).verify(byText, NOW)).toEqual(BOB);
});

test("a name as long as names may be comes back", () => {
  const user = { id: "guest:abcdefghijklmnop", name: '"'.repeat(1024) };
  expect(sessions.verify(sessions.issue(user, NOW), NOW)).toEqual(user);
});

describe("a session that is refused", () => {
  test("has expired", () => {
    const token = sessions.issue(BOB, NOW);
    expect(sessions.verify(token, NOW + 30 * DAY_MS - 1000)).toEqual(BOB);
    expect(sessions.verify(token, NOW + 30 * DAY_MS)).toBeUndefined();
    expect(sessions.verify(token, NOW + 3000 * DAY_MS)).toBeUndefined();
  });

  test("is signed with another key", () => {
    for (const key of ["other", new Uint8Array(32), KEY.subarray(1)])
      expect(
        sessions.verify(new Sessions(key, 30).issue(BOB, NOW), NOW),
      ).toBeUndefined();
  });

  test("has a single character of its content changed", () => {
    const token = sessions.issue(BOB, NOW);
    const content = token.split(".")[0]!;
    for (let at = 0; at < content.length; at++)
      for (const character of ["A", "b", "-"]) {
        const forged = token.slice(0, at) + character + token.slice(at + 1);
        if (forged !== token)
          expect(sessions.verify(forged, NOW)).toBeUndefined();
      }
  });

  test("has a single bit of its signature changed", () => {
    const [content, signature] = sessions.issue(BOB, NOW).split(".");
    for (let bit = 0; bit < 256; bit++) {
      const bytes = Buffer.from(signature!, "base64url");
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      const forged = `${content}.${bytes.toString("base64url")}`;
      expect(sessions.verify(forged, NOW)).toBeUndefined();
    }
  });

  test("has the content of one and the signature of another", () => {
    const [content] = sessions.issue({ id: "x", name: "x" }, NOW).split(".");
    const [, signature] = sessions.issue(BOB, NOW).split(".");
    expect(sessions.verify(`${content}.${signature}`, NOW)).toBeUndefined();
  });

  test("is cut, or has no signature", () => {
    const token = sessions.issue(BOB, NOW);
    const content = token.split(".")[0]!;
    for (const cut of [token.slice(0, -2), content, `${content}.`, ".", ""])
      expect(sessions.verify(cut, NOW)).toBeUndefined();
  });

  test("is signed without the purpose: another use of the key makes no session", () => {
    const content = sessions.issue(BOB, NOW).split(".")[0]!;
    const signature = new Bun.CryptoHasher("sha256", KEY)
      .update(content)
      .digest("base64url");
    expect(sessions.verify(`${content}.${signature}`, NOW)).toBeUndefined();
  });

  test("is longer than any that is issued, and is not even looked at", () => {
    const user = { id: "guest:x", name: "x".repeat(4096) };
    const token = sessions.issue(user, NOW);
    expect(sessions.verify(token, NOW)).toBeUndefined();
  });

  test("is anything else, without throwing", () => {
    const base64url = fc.base64String().map((s) => s.replace(/[+/=]/g, "-"));
    const token = fc.oneof(
      anyText,
      fc.tuple(base64url, base64url).map((parts) => parts.join(".")),
    );
    fc.assert(
      fc.property(token, (forged) => {
        expect(sessions.verify(forged, NOW)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});
