import { describe, expect, test } from "bun:test";
import { Origins } from "../../src/auth/origins.ts";

describe("allowed origins", () => {
  const some = new Origins(
    "https://chat.example.com, https://*.example.org,http://localhost:3000,https://*.example.net:8443",
  );

  test.each([
    ["https://chat.example.com", true],
    ["https://a.example.org", true],
    ["https://a.b.example.org", true],
    ["http://localhost:3000", true],
    ["https://a.example.net:8443", true],
    [null, true],
    ["", false],
    ["null", false],
    ["http://chat.example.com", false],
    ["https://chat.example.com:8443", false],
    ["https://chat.example.com.evil.com", false],
    ["https://CHAT.example.com", false],
    ["https://evilchat.example.com", false],
    ["https://example.org", false],
    ["https://.example.org", false],
    ["https://evil-example.org", false],
    ["https://a.example.org.evil.com", false],
    ["https://evil.com/.example.org", false],
    ["https://evil.com?.example.org", false],
    ["https://evil.com#.example.org", false],
    ["https://evil.com:80.example.org", false],
    ["https://user@evil.com\\.example.org", false],
    ["https://a..example.org", false],
    ["http://a.example.org", false],
    ["https://a.example.org:8443", false],
    ["https://a.example.net", false],
    ["https://localhost:3000", false],
    ["https://a\n.example.org", false],
  ])("%p: %p", (origin, allowed) => {
    expect(some.allows(origin)).toBe(allowed);
  });

  test("that are none are all", () => {
    for (const list of ["", " ", ","]) {
      expect(new Origins(list).allows("https://anything.example")).toBe(true);
      expect(new Origins(list).allows("null")).toBe(true);
    }
  });

  test.each([
    "*",
    "https://*",
    "*.example.com",
    "chat.example.com",
    "https://chat.example.com/",
    "https://chat.example.com:443",
    "https://Chat.example.com",
    "https://a.*.example.com",
    "https://*example.com",
    "ws://chat.example.com",
    "https://user@example.com",
    "null",
  ])("%p is refused at the start: no browser would send it so", (list) => {
    expect(() => new Origins(list)).toThrow("--allowed-origins");
  });
});
