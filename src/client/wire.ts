import type { ClientFormat } from "./types.ts";

/** A format: frames ↔ objects. */
export interface Wire {
  encode(message: object): string | Uint8Array;
  /** @throws for what is no frame of this format */
  decode(frame: any): any;
}

const json: Wire = { encode: JSON.stringify, decode: JSON.parse };

/** MessagePack is loaded when it is asked for, so that nobody else pays for it. */
export async function loadWire(format: ClientFormat): Promise<Wire> {
  if (format === "json") return json;
  const { Encoder, decode } = await import("@msgpack/msgpack");
  const encoder = new Encoder({ ignoreUndefined: true });
  return {
    encode: (message) => encoder.encode(message),
    decode: (frame) => decode(frame),
  };
}

/** @returns bytes of UTF-8, or of the frame as it is */
export function frameBytes(frame: string | Uint8Array): number {
  return typeof frame === "string"
    ? new TextEncoder().encode(frame).length
    : frame.length;
}
