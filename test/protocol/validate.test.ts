import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ERROR_CODES, ProtocolError } from "../../src/protocol/errors.ts";
import { CLIENT_MESSAGES } from "../../src/protocol/messages.ts";
import {
  MAX_DATA_DEPTH,
  MAX_ROOM_BYTES,
  checkData,
  checkId,
  checkName,
  checkShape,
  checkText,
  nameProblem,
  quote,
} from "../../src/protocol/validate.ts";
import { anyText, jsonValue } from "./arbitraries.ts";
import { refusal } from "./refusal.ts";

const LONE = "a\ud800b";

describe("the shape of a frame", () => {
  test.each([
    { action: "join_room", room: "general" },
    {
      action: "join_room",
      ref: 0,
      room: "general",
      since: { epoch: "e", seq: 0 },
      history: 0,
      echo: false,
    },
    { action: "leave_room", ref: 4294967295, room: "general" },
    { action: "send_message", room: "general", text: "" },
    { action: "send_message", room: "r", text: "x", id: "1", data: { a: [1] } },
    { action: "get_history", room: "r", before: 9007199254740991, limit: 1 },
    { action: "get_history", room: "r", after: 0, limit: 9007199254740991 },
    { action: "get_members", room: "general" },
    { action: "typing", room: "general", active: true },
    { action: "ping" },
  ])("%j is valid, and comes back as it is", (message) => {
    expect(checkShape(message) as unknown).toBe(message);
  });

  test("unknown keys are ignored, also beside known ones", () => {
    const message = { action: "ping", text: 1, from: null, nested: { a: [] } };
    expect(checkShape(message) as unknown).toBe(message);
  });

  test("what is no object is no frame at all", () => {
    const values = [null, undefined, 1, "ping", true, [], [{ action: "ping" }]];
    for (const value of values)
      expect(refusal(() => checkShape(value))).toEqual([
        "bad_frame",
        "a frame holds one object with an action",
      ]);
  });

  test.each([{}, { action: 1 }, { action: null }, { action: ["ping"] }])(
    "%j has no action",
    (value) => {
      expect(refusal(() => checkShape(value))).toEqual([
        "invalid_field",
        "action must be a string",
      ]);
    },
  );

  test.each(["", "Ping", "constructor", "__proto__", "toString", "welcome"])(
    "there is no action %j, and the error lists those that there are",
    (action) => {
      expect(refusal(() => checkShape({ action }))).toEqual([
        "unknown_action",
        `there is no action "${action}"; there are ${Object.keys(CLIENT_MESSAGES).join(", ")}`,
      ]);
    },
  );

  const join = { action: "join_room", room: "r" };
  const send = { action: "send_message", room: "r", text: "x" };
  const history = { action: "get_history", room: "r" };
  test.each<[string, object]>([
    ["room is missing", { action: "join_room" }],
    ["room is missing", { action: "leave_room" }],
    ["room is missing", { action: "get_history" }],
    ["room is missing", { action: "get_members" }],
    ["room is missing", { action: "send_message", text: "x" }],
    ["text is missing", { action: "send_message", room: "r" }],
    ["active is missing", { action: "typing", room: "r" }],
    ["room must be string", { ...join, room: 1 }],
    ["room must be string", { ...join, room: null }],
    ["since must be object", { ...join, since: 5 }],
    ["since must be object", { ...join, since: [] }],
    ["since.epoch is missing", { ...join, since: { seq: 1 } }],
    ["since.seq is missing", { ...join, since: { epoch: "e" } }],
    ["since.epoch must be string", { ...join, since: { epoch: 1, seq: 1 } }],
    ["since.seq must be integer", { ...join, since: { epoch: "", seq: 1.5 } }],
    ["since.seq must be integer", { ...join, since: { epoch: "", seq: "1" } }],
    ["since.seq must be >= 0", { ...join, since: { epoch: "", seq: -1 } }],
    ["history must be integer", { ...join, history: 0.5 }],
    ["history must be >= 0", { ...join, history: -1 }],
    ["echo must be boolean", { ...join, echo: 1 }],
    ["text must be string", { ...send, text: 1 }],
    ["id must be string", { ...send, id: 1 }],
    ["data must be object", { ...send, data: "x" }],
    ["data must be object", { ...send, data: null }],
    ["data must be object", { ...send, data: [1] }],
    ["limit must be >= 1", { ...history, limit: 0 }],
    ["limit must be integer", { ...history, limit: Infinity }],
    ["before must be integer", { ...history, before: NaN }],
    ["after must be <= 9007199254740991", { ...history, after: 2 ** 53 }],
    ["active must be boolean", { action: "typing", room: "r", active: "yes" }],
    ["ref must be >= 0", { action: "ping", ref: -1 }],
    ["ref must be <= 4294967295", { action: "ping", ref: 4294967296 }],
    ["ref must be integer", { action: "ping", ref: "1" }],
    ["ref must be integer", { action: "ping", ref: null }],
  ])("%s: %j", (message, frame) => {
    expect(refusal(() => checkShape(frame))).toEqual([
      "invalid_field",
      message,
    ]);
  });

  test("whatever comes, it passes or fails with a code of the table", () => {
    const frame = fc.oneof(
      jsonValue(3),
      fc.record(
        {
          action: fc.constantFrom(...Object.keys(CLIENT_MESSAGES)),
          room: fc.oneof(fc.string(), jsonValue(1)),
          since: jsonValue(2),
          text: fc.oneof(fc.string(), jsonValue(1)),
          data: jsonValue(2),
          ref: jsonValue(1),
          limit: jsonValue(1),
        },
        { requiredKeys: ["action"] },
      ),
    );
    fc.assert(
      fc.property(frame, (value) => {
        try {
          checkShape(value);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
          expect(Object.keys(ERROR_CODES)).toContain(
            (error as ProtocolError).code,
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("names of rooms and users", () => {
  test.each(["a", "Größe", "房间", "👩‍👩‍👧", "with space", "a/b#c", "[x]: y", " "])(
    "%j is one",
    (name) => {
      expect(nameProblem(name, MAX_ROOM_BYTES)).toBeUndefined();
      checkName("room", name, MAX_ROOM_BYTES);
    },
  );

  test("an empty one is refused", () => {
    expect(refusal(() => checkName("room", "", 10))).toEqual([
      "invalid_field",
      "room must not be empty",
    ]);
  });

  test("its length counts in bytes of UTF-8", () => {
    expect(nameProblem("a".repeat(128), 128)).toBeUndefined();
    expect(nameProblem("ü".repeat(64), 128)).toBeUndefined();
    expect(nameProblem("😀".repeat(32), 128)).toBeUndefined();
    const tooLong = "must be at most 128 bytes of UTF-8";
    expect(nameProblem("a".repeat(129), 128)).toBe(tooLong);
    expect(nameProblem(`${"ü".repeat(64)}a`, 128)).toBe(tooLong);
    expect(nameProblem(`${"😀".repeat(32)}a`, 128)).toBe(tooLong);
    expect(refusal(() => checkName("name", "abc", 2))).toEqual([
      "invalid_field",
      "name must be at most 2 bytes of UTF-8",
    ]);
  });

  test("what a path takes for a step is refused", () => {
    for (const name of [".", ".."])
      expect(nameProblem(name, 128)).toBe('must not be "." or ".."');
    for (const name of ["...", ".a", "a..", " ."])
      expect(nameProblem(name, 128)).toBeUndefined();
  });

  test("a lone surrogate is refused", () => {
    for (const name of [LONE, "\ud800", "\udc00\ud800"])
      expect(nameProblem(name, 128)).toBe("must not hold a lone surrogate");
  });

  test("every control character and line separator is refused, and nothing else in the first 12,000", () => {
    for (let code = 0; code < 12_000; code++) {
      const control =
        code < 0x20 ||
        (code >= 0x7f && code <= 0x9f) ||
        code === 0x2028 ||
        code === 0x2029;
      expect(nameProblem(`a${String.fromCharCode(code)}b`, 128)).toBe(
        control ? "must not hold control characters" : undefined,
      );
    }
  });
});

describe("texts", () => {
  test.each([
    ["a".repeat(30), 30],
    ["a".repeat(31), 31],
    ["ü".repeat(15), 30],
    ["房".repeat(10), 30],
    ["😀".repeat(7), 28],
    ["", 0],
  ])("%j counts as %d bytes of UTF-8", (text, bytes) => {
    checkText(text, bytes);
    checkText(text, bytes + 1);
    if (bytes > 0)
      expect(refusal(() => checkText(text, bytes - 1))).toEqual([
        "too_large",
        `text has ${bytes} bytes of UTF-8; at most ${bytes - 1} are allowed`,
      ]);
  });

  test("no limit takes every length", () => {
    checkText("a".repeat(1_000_000), Infinity);
  });

  test("a lone surrogate is refused, everything else may be in one", () => {
    expect(refusal(() => checkText(LONE, 100))).toEqual([
      "invalid_field",
      "text must not hold a lone surrogate",
    ]);
    fc.assert(fc.property(anyText, (text) => checkText(text, 1000)));
  });
});

describe("idempotency keys", () => {
  test("have 1 to 64 characters, whatever they take in UTF-16", () => {
    for (const id of ["x", "x".repeat(64), "😀".repeat(64), " ", "\n"])
      checkId(id);
    for (const id of [
      "",
      "x".repeat(65),
      "😀".repeat(65),
      `${"😀".repeat(64)}x`,
    ])
      expect(refusal(() => checkId(id))).toEqual([
        "invalid_field",
        "id must have 1 to 64 characters",
      ]);
  });

  test("have no lone surrogate", () => {
    expect(refusal(() => checkId(LONE))).toEqual([
      "invalid_field",
      "id must not hold a lone surrogate",
    ]);
  });
});

describe("data", () => {
  const nestedLists = (depth: number): unknown =>
    depth === 0 ? 1 : [nestedLists(depth - 1)];

  test("of what JSON can hold gives its JSON", () => {
    const object = fc.dictionary(
      anyText.filter((key) => key !== "__proto__"),
      jsonValue(4),
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(object, (data) => {
        expect(checkData(data, Infinity)).toBe(JSON.stringify(data));
      }),
    );
  });

  test.each([
    [{}, 2],
    [{ a: "é" }, 10],
    [{ a: "房".repeat(20) }, 68],
    [{ a: "a".repeat(50) }, 58],
    [{ a: "\n" }, 10],
  ])("%j counts as %d bytes", (data, bytes) => {
    checkData(data, bytes);
    expect(refusal(() => checkData(data, bytes - 1))).toEqual([
      "too_large",
      `data has ${bytes} bytes as JSON; at most ${bytes - 1} are allowed`,
    ]);
  });

  test.each<[string, unknown]>([
    ["data.a must be what JSON can hold", { a: undefined }],
    ["data.a must be what JSON can hold", { a: 1n }],
    ["data.a must be what JSON can hold", { a: new Date(0) }],
    ["data.a must be what JSON can hold", { a: new Uint8Array(1) }],
    ["data.a must be what JSON can hold", { a: new Map() }],
    ["data.a must be what JSON can hold", { a: () => 1 }],
    ["data must be what JSON can hold", new Uint8Array(1)],
    ["data.a must be a finite number", { a: NaN }],
    ["data.a.b[] must be a finite number", { a: { b: [1, -Infinity] } }],
    ["data.a must not hold a lone surrogate", { a: LONE }],
    ["data must not hold a lone surrogate", { [LONE]: 1 }],
    ["data.list[].a\\nb must be a finite number", { list: [{ "a\nb": NaN }] }],
    [
      'data.a must not have the key "__proto__"',
      JSON.parse('{"a":{"__proto__":1}}'),
    ],
    ['data must not have the key "__proto__"', JSON.parse('{"__proto__":{}}')],
  ])("%s", (message, data) => {
    expect(refusal(() => checkData(data, 1000))).toEqual([
      "invalid_field",
      message,
    ]);
  });

  test("an object without a prototype is as good as any", () => {
    const data = Object.assign(Object.create(null), { a: 1 });
    expect(checkData(data, 100)).toBe('{"a":1}');
  });

  test("may be nested as deep as every format takes, and no deeper", () => {
    checkData({ a: nestedLists(MAX_DATA_DEPTH - 1) }, 1000);
    const [code, message] = refusal(() =>
      checkData({ a: nestedLists(MAX_DATA_DEPTH) }, 1000),
    );
    expect(code).toBe("invalid_field");
    expect(message).toEndWith("is nested deeper than 32");
  });

  test("nested without end fails as an invalid field", () => {
    const [code] = refusal(() => checkData({ a: nestedLists(5000) }, 1000));
    expect(code).toBe("invalid_field");
  });

  test("a long path is cut in the error", () => {
    const data = { ["k".repeat(60)]: { ["l".repeat(60)]: NaN } };
    const [, message] = refusal(() => checkData(data, 1000));
    expect(message).toHaveLength(80 + " must be a finite number".length);
  });
});

describe("quoting a client's value", () => {
  test("keeps it short, printable and well formed", () => {
    expect(quote('a"b\n')).toBe('"a\\"b\\n"');
    expect(quote("x".repeat(41))).toBe(`"${"x".repeat(40)}…"`);
    expect(quote("x".repeat(40))).toBe(`"${"x".repeat(40)}"`);
    expect(quote(`${"x".repeat(39)}😀`)).toBe(`"${"x".repeat(39)}\ufffd…"`);
    expect(quote(LONE).isWellFormed()).toBe(true);
  });
});
