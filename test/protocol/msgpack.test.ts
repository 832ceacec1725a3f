import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { msgpack } from "../../src/protocol/msgpack.ts";
import { anyEvent, jsonValue } from "./arbitraries.ts";
import { refusal } from "./refusal.ts";
import { describeReplies } from "./replies.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const decoder = msgpack.createDecoder("");

describeReplies(msgpack, (frame) => decode(frame as Uint8Array));

test("an event becomes one map with the keys that it has", () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const frame = msgpack.encode({ ...event, prev: undefined });
      const { prev: _, ...rest } = event;
      expect(decode(frame as Uint8Array)).toStrictEqual(rest);
    }),
  );
});

test("an encoded event is not changed by what is encoded after it", () => {
  const [first, second] = fc.sample(anyEvent, { numRuns: 2, seed: 1 });
  const frame = msgpack.encode(first!) as Uint8Array;
  msgpack.encode(second!);
  expect(decode(frame)).toStrictEqual(first);
});

test("a reply of more events than a 16-bit header can tell is a mistake of ours", () => {
  const frames = Array.from({ length: 65536 }, () => Uint8Array.of(0xc0));
  expect(() => msgpack.joinMessages(frames)).toThrow(RangeError);
  const most = msgpack.joinMessages(frames.slice(1)) as Uint8Array;
  expect(decode(most)).toHaveLength(65535);
});

describe("decoding", () => {
  test("gives what the binary frame holds, as one request", () => {
    fc.assert(
      fc.property(jsonValue(), (value) => {
        expect(decoder.decode(encode(value))).toStrictEqual([value]);
      }),
    );
  });

  test("reads a frame that lies inside a larger buffer", () => {
    const frame = encode({ action: "ping", ref: 7 });
    const larger = Buffer.alloc(frame.length + 20, 0xc1);
    larger.set(frame, 11);
    expect(decoder.decode(larger.subarray(11, 11 + frame.length))).toEqual([
      { action: "ping", ref: 7 },
    ]);
  });

  test("refuses a text frame", () => {
    expect(refusal(() => decoder.decode("{}"))).toEqual([
      "bad_frame",
      "this connection speaks MessagePack: binary frames only",
    ]);
  });

  test("refuses the key __proto__, and goes on afterwards", () => {
    const frame = Buffer.concat([
      Uint8Array.of(0x81, 0xa9),
      Buffer.from("__proto__"),
      Uint8Array.of(0x80),
    ]);
    const [code, message] = refusal(() => decoder.decode(frame));
    expect(code).toBe("bad_frame");
    expect(message).toStartWith("the frame is not MessagePack: ");
    expect(decoder.decode(encode({ a: [1] }))).toEqual([{ a: [1] }]);
  });

  /** Bytes that often look like MessagePack: random ones mixed with headers of every type. */
  const lookalike = fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 3 }),
        fc.integer({ min: 0x80, max: 0xdf }).map((b) => Uint8Array.of(b)),
        fc
          .constantFrom("action", "room", "__proto__", "")
          .map((key) => encode(key)),
        jsonValue(2).map((value) => encode(value)),
      ),
      { maxLength: 12 },
    )
    .map((parts) => Buffer.concat(parts));

  function decodeOrRefuse(frame: Uint8Array): readonly unknown[] {
    try {
      return decoder.decode(frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      expect(error.code).toBe("bad_frame");
      return [];
    }
  }

  /** Characters, bytes and values in what was decoded: what it takes in memory, in proportion. */
  function content(value: unknown): number {
    if (typeof value === "string") return 1 + value.length;
    if (value instanceof Uint8Array) return 1 + value.length;
    if (Array.isArray(value))
      return value.reduce((sum: number, item) => sum + content(item), 1);
    if (typeof value === "object" && value !== null)
      return Object.entries(value).reduce(
        (sum, [key, item]) => sum + content(key) + content(item),
        1,
      );
    return 1;
  }

  test.each([
    ["random bytes", fc.uint8Array({ maxLength: 64 })],
    ["what looks like MessagePack", lookalike],
  ])(
    "fails on %s with nothing but bad_frame, and gives no more than came in",
    (_, frames) => {
      fc.assert(
        fc.property(frames, (frame) => {
          for (const value of decodeOrRefuse(frame))
            expect(content(value)).toBeLessThanOrEqual(frame.length);
        }),
        { numRuns: 1500 },
      );
    },
  );

  test("fails on a damaged frame with nothing but bad_frame, and gives no more than came in", () => {
    fc.assert(
      fc.property(
        jsonValue(3).map((value) => encode(value)),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
        fc.nat(),
        (frame, changes, cut) => {
          for (const [at, byte] of changes) frame[at % frame.length] = byte;
          const kept = frame.subarray(0, 1 + (cut % (2 * frame.length)));
          for (const value of decodeOrRefuse(kept))
            expect(content(value)).toBeLessThanOrEqual(kept.length);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
