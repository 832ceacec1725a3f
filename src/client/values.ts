import type { Data } from "../protocol/messages.ts";
import { RoomcastError } from "./errors.ts";

/**
 * MessagePack cannot carry lone surrogates: the server would refuse the frame without telling whose it was.
 * @throws RoomcastError invalid_field
 */
export function checkWellFormed(field: string, text: unknown): void {
  if (typeof text === "string" && text.isWellFormed?.() === false)
    throw new RoomcastError("invalid_field", `${field} has a lone surrogate`);
}

/**
 * A copy of what JSON holds of `data`: the same in every format and at every try, whatever becomes of the original.
 * @throws RoomcastError invalid_field
 */
export function copyData(data: Data): Data {
  try {
    return JSON.parse(JSON.stringify(data), (key, value) => {
      checkWellFormed("data", key);
      checkWellFormed("data", value);
      return value;
    });
  } catch (error) {
    if (error instanceof RoomcastError) throw error;
    throw new RoomcastError("invalid_field", `data is no JSON: ${error}`);
  }
}

let ids = 0;
let prefix: string;

/** @returns an idempotency key that nobody else has */
export function newId(): string {
  // `crypto.randomUUID` is not there on pages that came by plain HTTP.
  prefix ??= crypto.getRandomValues(new Uint32Array(4)).join("-");
  return `${prefix}-${++ids}`;
}
