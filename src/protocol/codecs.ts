import type { Codec } from "./codec.ts";
import { json } from "./json.ts";
import { msgpack } from "./msgpack.ts";
import { text } from "./text.ts";

/** Every codec, by its `index`. */
export const CODECS: readonly Codec[] = [json, msgpack, text];

export const codecByName: ReadonlyMap<string, Codec> = new Map(
  CODECS.map((codec) => [codec.name, codec]),
);
