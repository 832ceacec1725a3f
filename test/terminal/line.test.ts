import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  COLOURED,
  harmless,
  messageLine,
  PLAIN,
  styleFor,
} from "../../src/terminal/line.ts";

// biome-ignore lint: the control characters are the point
const COMMANDS_A_TERMINAL =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

describe("a stranger's text", () => {
  test("stays one line and commands nothing, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(harmless(text)).not.toMatch(COMMANDS_A_TERMINAL);
      }),
    );
  });

  test("keeps what can be read", () => {
    expect(harmless("naïve 🙂 你好")).toBe("naïve 🙂 你好");
    expect(harmless("two\r\nlines\u2028more")).toBe("two⏎lines⏎more");
    expect(harmless("\x1b[31mred\x1b]0;title\x07")).toBe("[31mred]0;title");
  });

  test("cannot look like another's line", () => {
    const line = messageLine(
      { from: "Eve\n12:00 Ann", user: "e", text: "hi\n12:00 Ann: no", ts: 0 },
      PLAIN,
      0,
    );
    expect(line.split("\n")).toHaveLength(1);
    const eve = { from: "Ann]: yes, says [Eve", user: "e", text: "hi", ts: 0 };
    expect(messageLine(eve, PLAIN, 0)).toEndWith("[Ann): yes, says (Eve]: hi");
  });
});

test("a message of another day shows its date", () => {
  const ts = new Date(2026, 2, 4, 9, 5).getTime();
  const message = { from: "Ann", user: "a", text: "hi", ts };
  expect(messageLine(message, PLAIN, ts)).toBe("09:05 [Ann]: hi");
  const later = new Date(2026, 2, 5, 9, 5).getTime();
  expect(messageLine(message, PLAIN, later)).toBe("2026-03-04 09:05 [Ann]: hi");
});

test("one user has one colour, and colours are for terminals that want them", () => {
  expect(COLOURED.name("Ann", "id")).toBe(COLOURED.name("Ann", "id"));
  expect(styleFor(true, {})).toBe(COLOURED);
  expect(styleFor(false, {})).toBe(PLAIN);
  expect(styleFor(true, { NO_COLOR: "1" })).toBe(PLAIN);
  expect(styleFor(true, { TERM: "dumb" })).toBe(PLAIN);
});
