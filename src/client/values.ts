import { RoomcastError } from "./errors.ts";

/**
 * A copy of what JSON holds of a value: the same in every format and at every try, whatever becomes of the original.
 * Lone surrogates are refused: MessagePack cannot carry them, and the server could not tell whose the frame was.
 *
 * @throws RoomcastError invalid_field
 */
export function copy<T>(value: T): T {
  try {
    const json = JSON.stringify(value);
    // JSON.stringify escapes surrogates only where they are alone. A backslash of the text itself is two.
    if (/[^\\](\\\\)*\\ud/.test(json)) throw "a lone surrogate";
    return JSON.parse(json);
  } catch (error) {
    throw new RoomcastError("invalid_field", `unusable: ${error}`);
  }
}

/** For the class itself: its properties are read-only to others. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] };
