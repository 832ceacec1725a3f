import { expect, test } from "bun:test";
import { CODEC_NAMES } from "../../src/protocol/codec.ts";
import { CODECS, codecByName } from "../../src/protocol/codecs.ts";

test("every codec stands at its index, under its name", () => {
  expect(CODECS.map((codec) => codec.index)).toEqual(CODECS.map((_, i) => i));
  expect(CODECS.map((codec) => codec.name)).toEqual([...CODEC_NAMES]);
  for (const codec of CODECS) expect(codecByName.get(codec.name)).toBe(codec);
  expect(codecByName.size).toBe(CODECS.length);
});
