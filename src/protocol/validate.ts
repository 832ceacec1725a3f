import type Type from "typebox";
import { Compile } from "typebox/compile";
import { ProtocolError } from "./errors.ts";
import { CLIENT_MESSAGES, type ClientMessage } from "./messages.ts";

/** Nesting of `data` that every format's usual decoders take. */
export const MAX_DATA_DEPTH = 32;
export const MAX_ROOM_BYTES = 128;
export const MAX_ID_CHARACTERS = 64;

interface Shape {
  Check(value: unknown): boolean;
  Errors(
    value: unknown,
  ): { instancePath: string; message: string; params: object }[];
}

const shapes = new Map<string, Shape>(
  Object.entries(CLIENT_MESSAGES).map(([action, schema]) => [
    action,
    Compile(schema as Type.TSchema) as unknown as Shape,
  ]),
);

/**
 * Checks the shape of a decoded frame: an object, a known action, every field of its type.
 * @throws ProtocolError bad_frame, unknown_action or invalid_field naming the field
 */
export function checkShape(value: unknown): ClientMessage {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ProtocolError(
      "bad_frame",
      "a frame holds one object with an action",
    );
  const action = (value as { action?: unknown }).action;
  if (typeof action !== "string")
    throw new ProtocolError("invalid_field", "action must be a string");
  const shape = shapes.get(action);
  if (!shape)
    throw new ProtocolError(
      "unknown_action",
      `there is no action ${quote(action)}; there are ${[...shapes.keys()].join(", ")}`,
    );
  if (!shape.Check(value)) throw shapeError(shape, value);
  return value as ClientMessage;
}

function shapeError(shape: Shape, value: unknown): ProtocolError {
  const first = shape.Errors(value)[0];
  if (!first) return new ProtocolError("invalid_field", "a field is not valid");
  const missing = (first.params as { requiredProperties?: string[] })
    .requiredProperties?.[0];
  const field = (first.instancePath + (missing ? `/${missing}` : ""))
    .slice(1)
    .replaceAll("/", ".");
  return new ProtocolError(
    "invalid_field",
    missing ? `${field} is missing` : `${field} ${first.message}`,
  );
}

/** Shortens a client's value so that an error stays small, and keeps it printable. */
export function quote(value: string): string {
  const short = value.length > 40 ? `${value.slice(0, 40)}…` : value;
  return JSON.stringify(short.toWellFormed());
}

/** Control characters and line separators: what could break a line of the text format. */
// biome-ignore lint: the control characters are the point
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * The rule for room names and display names.
 * @param field what the error calls it
 * @throws ProtocolError invalid_field
 */
export function checkName(field: string, name: string, maxBytes: number): void {
  const problem = nameProblem(name, maxBytes);
  if (problem) throw new ProtocolError("invalid_field", `${field} ${problem}`);
}

/** @returns what is wrong with the name, or undefined */
export function nameProblem(
  name: string,
  maxBytes: number,
): string | undefined {
  if (name.length === 0) return "must not be empty";
  if (name.length > maxBytes || Buffer.byteLength(name) > maxBytes)
    return `must be at most ${maxBytes} bytes of UTF-8`;
  if (!name.isWellFormed()) return "must not hold a lone surrogate";
  if (CONTROL.test(name)) return "must not hold control characters";
  // In a path every client takes them for steps: what is asked for the room ".." would be done everywhere.
  if (name === "." || name === "..") return 'must not be "." or ".."';
  return undefined;
}

/** @throws ProtocolError invalid_field, or too_large where the UTF-8 of `text` is above `maxBytes` */
export function checkText(text: string, maxBytes: number): void {
  // A UTF-16 unit is at most 3 bytes of UTF-8: most texts need no count.
  if (text.length * 3 > maxBytes) {
    const bytes = Buffer.byteLength(text);
    if (bytes > maxBytes)
      throw new ProtocolError(
        "too_large",
        `text has ${bytes} bytes of UTF-8; at most ${maxBytes} are allowed`,
        undefined,
        "max_text_bytes",
      );
  }
  if (!text.isWellFormed())
    throw new ProtocolError(
      "invalid_field",
      "text must not hold a lone surrogate",
    );
}

/** @throws ProtocolError invalid_field */
export function checkId(id: string): void {
  const units = id.length;
  const tooLong =
    units > MAX_ID_CHARACTERS &&
    (units > 2 * MAX_ID_CHARACTERS || [...id].length > MAX_ID_CHARACTERS);
  if (units === 0 || tooLong)
    throw new ProtocolError(
      "invalid_field",
      `id must have 1 to ${MAX_ID_CHARACTERS} characters`,
    );
  if (!id.isWellFormed())
    throw new ProtocolError(
      "invalid_field",
      "id must not hold a lone surrogate",
    );
}

/**
 * `data` may hold what JSON can hold, whatever format it came in.
 * @returns its JSON text
 * @throws ProtocolError invalid_field naming the place, or too_large where the JSON is above `maxBytes`
 */
export function checkData(data: unknown, maxBytes: number): string {
  checkJsonValue(data, "data", 1);
  const json = JSON.stringify(data);
  if (json.length * 3 > maxBytes) {
    const bytes = Buffer.byteLength(json);
    if (bytes > maxBytes)
      throw new ProtocolError(
        "too_large",
        `data has ${bytes} bytes as JSON; at most ${maxBytes} are allowed`,
        undefined,
        "max_data_bytes",
      );
  }
  return json;
}

function checkJsonValue(value: unknown, path: string, depth: number): void {
  const fail = (problem: string): never => {
    throw new ProtocolError(
      "invalid_field",
      `${path.slice(0, 80).toWellFormed()} ${problem}`,
    );
  };
  switch (typeof value) {
    case "boolean":
      return;
    case "string":
      if (!value.isWellFormed()) fail("must not hold a lone surrogate");
      return;
    case "number":
      if (!Number.isFinite(value)) fail("must be a finite number");
      return;
    case "object":
      break;
    default:
      fail("must be what JSON can hold");
  }
  if (value === null) return;
  if (depth > MAX_DATA_DEPTH) fail(`is nested deeper than ${MAX_DATA_DEPTH}`);
  if (Array.isArray(value)) {
    for (const item of value) checkJsonValue(item, `${path}[]`, depth + 1);
    return;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    fail("must be what JSON can hold");
  for (const key of Object.keys(value as object)) {
    // Decoders of some formats refuse this key: one sender could break every reader of the room.
    if (key === "__proto__") fail('must not have the key "__proto__"');
    if (!key.isWellFormed()) fail("must not hold a lone surrogate");
    checkJsonValue(
      (value as Record<string, unknown>)[key],
      `${path}.${quote(key).slice(1, -1)}`,
      depth + 1,
    );
  }
}
