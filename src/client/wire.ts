import type { ClientFormat } from "./types.ts";

/** A format: frames ↔ objects. */
export interface Wire {
  encode(message: object): string | Uint8Array;
  /** @throws for what is no frame of this format */
  decode(frame: any): any;
}

/** MessagePack is loaded when it is asked for, so that nobody else pays for it. */
export async function loadWire(format: ClientFormat): Promise<Wire> {
  if (format === "json") return { encode: JSON.stringify, decode: JSON.parse };
  const { encode, decode } = await import("@msgpack/msgpack");
  return {
    encode: (message) => encode(message, { ignoreUndefined: true }),
    decode,
  };
}
