import { expect, test } from "bun:test";
import fc from "fast-check";
import { findLinks } from "../../../src/web/text/links.ts";

const hrefs = (text: string): string[] =>
  findLinks(text).flatMap((part) =>
    typeof part === "string" ? [] : [part.href],
  );

test.each([
  ["see https://example.com/a?b=c#d now", "https://example.com/a?b=c#d"],
  ["http://example.com", "http://example.com/"],
  ["HTTPS://EXAMPLE.com/Path", "https://example.com/Path"],
  ["(https://example.com/a)", "https://example.com/a"],
  ["https://example.com/a_(b)", "https://example.com/a_(b)"],
  ["Is it https://example.com/a?", "https://example.com/a"],
  ["Yes: https://example.com...", "https://example.com/"],
  ["“https://example.com/x”,", "https://example.com/x%E2%80%9D"],
  ["http://localhost:8080/#general", "http://localhost:8080/#general"],
  ["https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"],
])("%s links to %s", (text, href) => {
  expect(hrefs(text)).toEqual([href]);
});

test.each([
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)",
  "data:text/html,<script>alert(1)</script>",
  "vbscript:x",
  "file:///etc/passwd",
  "ftp://example.com",
  "example.com",
  "https://",
  "https://user@example.com",
  "https://bank.example:x@evil.example/",
  "xhttps://example.com",
  "view-source:javascript:1",
  "blob:null/1",
])("%s is no link", (text) => {
  expect(hrefs(text)).toEqual([]);
});

test("a link ends where something could make it look like another one", () => {
  expect(hrefs("https://example.com/\u202egnp.exe")).toEqual([
    "https://example.com/",
  ]);
  expect(hrefs('https://example.com/"><img src=x>')).toEqual([
    "https://example.com/",
  ]);
});

test("two links, and the text around them", () => {
  expect(findLinks("a https://x.example/, b http://y.example. c")).toEqual([
    "a ",
    { href: "https://x.example/", text: "https://x.example/" },
    ", b ",
    { href: "http://y.example/", text: "http://y.example" },
    ". c",
  ]);
});

test("whatever the text: nothing is lost, and only http and https are linked", () => {
  const pieces = fc.constantFrom(
    "https://",
    "http://a.example",
    "javascript:",
    "@",
    "(",
    ")",
    ".",
    " ",
    "<",
    "\u202e",
    "ä",
    "\ud800",
    ":80",
    "/p",
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(pieces, fc.string({ unit: "binary" }))),
      (parts) => {
        const text = parts.join("");
        const found = findLinks(text);
        expect(
          found.map((p) => (typeof p === "string" ? p : p.text)).join(""),
        ).toBe(text);
        for (const href of hrefs(text)) expect(href).toMatch(/^https?:\/\//);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("a long text of links has few", () => {
  expect(hrefs("https://a.example ".repeat(500)).length).toBe(50);
});
