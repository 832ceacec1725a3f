import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ExtData, decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { checkMsgpack } from "../../src/protocol/msgpack-scan.ts";
import { jsonValue } from "./arbitraries.ts";
import { refusal } from "./refusal.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const ENDS_EARLY = "it ends early";
const CLAIMS = "it ends early, or a header claims more than it holds";

function problemOf(bytes: Uint8Array): string {
  const [code, message] = refusal(() => checkMsgpack(bytes));
  expect(code).toBe("bad_frame");
  const start = "the frame is not usable MessagePack: ";
  expect(message).toStartWith(start);
  return message.slice(start.length);
}

const bytes = (...values: (number | Uint8Array | string)[]): Uint8Array =>
  Buffer.concat(
    values.map((value) =>
      typeof value === "number" ? Uint8Array.of(value) : Buffer.from(value),
    ),
  );

/** An array in an array in an array, and so on. */
const nested = (depth: number, innermost: number): Uint8Array =>
  bytes(new Uint8Array(depth).fill(0x91), innermost);

test("whatever JSON can hold passes as the library encodes it", () => {
  fc.assert(
    fc.property(jsonValue(8), fc.boolean(), (value, forceFloat32) => {
      checkMsgpack(encode(value, { forceFloat32 }));
    }),
    { numRuns: 1000 },
  );
});

test.each([
  [
    "a string",
    (n: number) => "x".repeat(n),
    [31, 32, 255, 256, 65535, 65536, 65736],
  ],
  [
    "binary data",
    (n: number) => new Uint8Array(n),
    [0, 255, 256, 65535, 65536],
  ],
  ["a list", (n: number) => Array(n).fill(0), [15, 16, 65535, 65536]],
  [
    "a map",
    (n: number) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, [i]])),
    [15, 16, 65535, 65536],
  ],
] as const)("%s of every header's length passes", (_, make, lengths) => {
  for (const length of lengths) checkMsgpack(encode(make(length)));
});

test.each([
  0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, -1, -32, -33,
  -128, -129, -32768, -32769, -2147483648, -2147483649, 0.5,
])("the number %d passes", (number) => checkMsgpack(encode([number, number])));

test.each([
  ["64-bit integers", bytes(0xcf, "12345678")],
  ["signed 64-bit integers", bytes(0xd3, "12345678")],
  ["32-bit floats", bytes(0xca, "1234")],
  ["longer headers than it takes", bytes(0xdd, 0, 0, 0, 1, 0xda, 0, 1, "x")],
  ["an empty map with a long header", bytes(0xdf, 0, 0, 0, 0)],
])("%s pass", (_, frame) => {
  checkMsgpack(frame);
  decode(frame);
});

test("a frame passes wherever it lies in its buffer", () => {
  const frame = encode({ list: [1, 2, 3], text: "x".repeat(300) });
  const larger = new Uint8Array(frame.length + 40).fill(0xc1);
  larger.set(frame, 17);
  checkMsgpack(larger.subarray(17, 17 + frame.length));
});

describe("nesting", () => {
  test("64 deep passes, with an empty list or a number in the middle", () => {
    checkMsgpack(nested(64, 0x07));
    checkMsgpack(nested(64, 0x90));
  });

  test("65 deep is refused", () => {
    expect(problemOf(nested(65, 0x07))).toBe("it is nested deeper than 64");
  });

  test("a map counts like a list", () => {
    const maps = (depth: number): Uint8Array =>
      bytes(...Array(depth).fill(bytes(0x81, 0xa1, "k")), 0x07);
    checkMsgpack(maps(64));
    expect(problemOf(maps(65))).toBe("it is nested deeper than 64");
  });

  test("64 deep is allowed again and again, one after the other", () => {
    checkMsgpack(bytes(0x92, nested(63, 0x07), nested(63, 0x07)));
  });

  test("a frame of nothing but openings is refused", () => {
    expect(problemOf(nested(65535, 0x07))).toBe("it is nested deeper than 64");
  });
});

describe("bombs", () => {
  test.each([
    ["a list of 4 billion", bytes(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ["a map of 4 billion", bytes(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ["a list of 65,535", bytes(0xdc, 0xff, 0xff, 0xc0)],
    ["a map of 65,535", bytes(0xde, 0xff, 0xff, 0xa0, 0xc0)],
    ["a map of 2 with 3 bytes", bytes(0x82, 0xa0, 0xc0, 0xa0)],
  ])("%s in a few bytes is refused", (_, frame) => {
    expect(problemOf(frame)).toBe(CLAIMS);
  });

  test.each([
    ["a string of 4 GB", bytes(0xdb, 0xff, 0xff, 0xff, 0xff, "x")],
    ["binary data of 4 GB", bytes(0xc6, 0xff, 0xff, 0xff, 0xff, "x")],
    ["a string of 64 KB", bytes(0xda, 0xff, 0xff, "x")],
    ["binary data of 64 KB", bytes(0xc5, 0xff, 0xff, "x")],
  ])("%s in a few bytes is refused", (_, frame) => {
    expect(problemOf(frame)).toBe(ENDS_EARLY);
  });

  test("lists that each claim all the rest of the frame are refused at the second", () => {
    // 60 lists of 60,000 inside each other fit in every single claim, and would take 3.6 million places.
    const openings = Array(60).fill(bytes(0xdc, 60_000 >> 8, 60_000 & 0xff));
    const frame = bytes(...openings, new Uint8Array(65_000));
    expect(problemOf(frame)).toBe(CLAIMS);
  });
});

describe("what is not one whole value of JSON's kinds", () => {
  test("an empty frame is refused", () => {
    expect(problemOf(new Uint8Array(0))).toBe(CLAIMS);
  });

  test("every frame that ends early is refused", () => {
    fc.assert(
      fc.property(jsonValue(3), fc.nat(), (value, cut) => {
        const frame = encode(value);
        problemOf(frame.subarray(0, cut % frame.length));
      }),
      { numRuns: 500 },
    );
  });

  test("every frame with bytes after its value is refused", () => {
    const more = fc.uint8Array({ minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(jsonValue(3), more, (value, rest) => {
        expect(problemOf(bytes(encode(value), rest))).toBe(
          "there are bytes after the value",
        );
      }),
      { numRuns: 500 },
    );
  });

  test.each([1, 2, 4, 8, 16, 3, 300, 70_000])(
    "an extension of %d bytes is refused",
    (length) => {
      const frame = encode({ a: new ExtData(5, new Uint8Array(length)) });
      expect(problemOf(frame)).toBe("extension types are not allowed");
    },
  );

  test("a time is an extension", () => {
    expect(problemOf(encode([new Date(0)]))).toBe(
      "extension types are not allowed",
    );
  });

  test.each([
    ["a text", bytes(0x81, 0xa1, "k", 0xa2, 0x61, 0xff)],
    ["a key", bytes(0x81, 0xa2, 0xff, 0xfe, 0xc0)],
    ["a long text", bytes(0xd9, 3, 0x61, 0xc3, 0x28)],
    ["a surrogate", bytes(0xa3, 0xed, 0xa0, 0x80)],
    ["a text cut in a character", bytes(0xda, 0, 2, 0xe2, 0x8f)],
  ])("%s that is not UTF-8 is refused", (_, frame) => {
    expect(problemOf(frame)).toBe("a string is not UTF-8");
  });

  test("the unused type is refused", () => {
    expect(problemOf(bytes(0x91, 0xc1))).toBe("it holds the unused type 0xc1");
  });

  test.each([
    ["a number", bytes(0x81, 0x01, 0xc0)],
    ["nil", bytes(0x81, 0xc0, 0xc0)],
    ["binary data", bytes(0x81, 0xc4, 1, "k", 0xc0)],
    ["a list", bytes(0x81, 0x91, 0xa1, "k", 0xc0)],
    ["an empty list", bytes(0x81, 0x90, 0xc0)],
    ["a map", bytes(0x81, 0x80, 0xc0)],
    ["a number, at the second key", bytes(0x82, 0xa1, "k", 0xc0, 0x01, 0xc0)],
    ["a number, after a list", bytes(0x82, 0xa1, "k", 0x91, 0, 0x01, 0xc0)],
  ])("%s as a map's key is refused", (_, frame) => {
    expect(problemOf(frame)).toBe("map keys must be strings");
  });

  test.each([
    ["short", bytes(0x81, 0xa1, "k", 0xc0)],
    ["8-bit", bytes(0x81, 0xd9, 1, "k", 0xc0)],
    ["16-bit", bytes(0x81, 0xda, 0, 1, "k", 0xc0)],
    ["32-bit", bytes(0x81, 0xdb, 0, 0, 0, 1, "k", 0xc0)],
    ["empty", bytes(0x81, 0xa0, 0xc0)],
  ])("a key with a %s string header passes", (_, frame) => {
    checkMsgpack(frame);
  });
});

describe("a string that is not UTF-8", () => {
  const broken = {
    "a byte that starts nothing": bytes(0xff),
    "a sequence that ends early": bytes("a", 0xf0, 0x9f, 0x98),
    "a surrogate": bytes(0xed, 0xa0, 0x80),
    "a longer form than needed": bytes(0xc0, 0xaf),
  };

  test.each(Object.entries(broken))(
    "with %s is refused, with every header, as a value and as a key",
    (_, string) => {
      const { length } = string;
      const headers = [
        [0xa0 | length],
        [0xd9, length],
        [0xda, 0, length],
        [0xdb, 0, 0, 0, length],
      ];
      for (const header of headers) {
        const value = bytes(...header, string);
        for (const frame of [
          value,
          bytes(0x81, 0xa1, "k", value),
          bytes(0x81, value, 0xc0),
        ])
          expect(problemOf(frame)).toBe("a string is not UTF-8");
      }
    },
  );

  test("may be binary data", () => {
    for (const data of Object.values(broken))
      checkMsgpack(bytes(0xc4, data.length, data));
  });

  test("is not one because of what follows it", () => {
    checkMsgpack(bytes(0x92, 0xa2, "é", 0xff));
    expect(problemOf(bytes(0x92, 0xa1, 0xc3, 0xa9))).toBe(
      "a string is not UTF-8",
    );
  });
});

test("on random bytes it agrees with the library, where that has no objection", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (frame) => {
      let problem = "";
      try {
        checkMsgpack(frame);
      } catch (error) {
        problem = (error as Error).message;
      }
      // The library takes what is not UTF-8 and makes other text of it.
      if (problem.endsWith("a string is not UTF-8")) return;
      // Nine random bytes are hardly ever __proto__, the one key that the library refuses and the scan does not.
      if (problem === "") expect(() => decode(frame)).not.toThrow();
      else expect(() => decodeStrictly(frame)).toThrow();
    }),
    { numRuns: 5000 },
  );
});

/** The library's decoder, made to refuse the keys and the extensions that it takes and the scan does not. */
function decodeStrictly(frame: Uint8Array): void {
  const value = decode(frame, {
    mapKeyConverter(key) {
      if (typeof key !== "string") throw new Error("a key that is no string");
      return key;
    },
  });
  if (holdsExtension(value)) throw new Error("an extension");
}

function holdsExtension(value: unknown): boolean {
  if (value instanceof ExtData || value instanceof Date) return true;
  return (
    typeof value === "object" &&
    value !== null &&
    !(value instanceof Uint8Array) &&
    Object.values(value).some(holdsExtension)
  );
}
