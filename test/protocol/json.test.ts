import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { json } from "../../src/protocol/json.ts";
import { anyEvent, jsonValue } from "./arbitraries.ts";
import { refusal } from "./refusal.ts";
import { describeReplies } from "./replies.ts";

const decoder = json.createDecoder("");

describeReplies(json, (frame) => JSON.parse(frame as string));

test("an event becomes one object with the keys that it has", () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const frame = json.encode({ ...event, prev: undefined });
      const { prev: _, ...rest } = event;
      expect(JSON.parse(frame as string)).toStrictEqual(
        JSON.parse(JSON.stringify(rest)),
      );
    }),
  );
});

describe("decoding", () => {
  test("gives what the text frame holds, as one request", () => {
    fc.assert(
      fc.property(jsonValue(), (value) => {
        const sent = JSON.parse(JSON.stringify(value));
        expect(decoder.decode(JSON.stringify(value))).toStrictEqual([sent]);
      }),
    );
  });

  test("refuses what is not JSON", () => {
    for (const frame of ["", "{", '{"a":1} ,', "hello", "[1,]"])
      expect(refusal(() => decoder.decode(frame))).toEqual([
        "bad_frame",
        "the frame is not JSON",
      ]);
  });

  test("refuses a binary frame", () => {
    expect(refusal(() => decoder.decode(Buffer.from("{}")))).toEqual([
      "bad_frame",
      "this connection speaks JSON: text frames only",
    ]);
  });
});
