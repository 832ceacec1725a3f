import type Type from "typebox";
import { Compile } from "typebox/compile";
import {
  MAX_ID_CHARACTERS,
  MAX_ROOM_BYTES,
  checkName,
} from "../protocol/validate.ts";
import { ApiError } from "./answer.ts";

/** User ids, as UTF-8. */
export const MAX_USER_BYTES = 128;

const bad = (message: string): ApiError =>
  new ApiError(400, "invalid_field", message);

interface Shape {
  Check(value: unknown): boolean;
  Errors(
    value: unknown,
  ): { instancePath: string; message: string; params: object }[];
}

/** @returns a check of a value @throws (the check) ApiError naming the field */
export function shapeCheck(schema: Type.TObject): (value: unknown) => void {
  const shape = Compile(schema) as unknown as Shape;
  return (value) => {
    if (shape.Check(value)) return;
    const first = shape.Errors(value)[0]!;
    const missing = (first.params as { requiredProperties?: string[] })
      .requiredProperties?.[0];
    const field = (first.instancePath + (missing ? `/${missing}` : ""))
      .slice(1)
      .replaceAll("/", ".");
    throw bad(
      missing
        ? `${field} is missing`
        : `${field || "the body"} ${first.message}`,
    );
  };
}

/** @throws ApiError */
export function readJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new ApiError(400, "bad_body", "the body is not JSON");
  }
}

const WHOLE = /^\d{1,16}$/;

/**
 * Numbers where the schema wants them; what it does not name is left out.
 * @throws ApiError a parameter is there twice, or is no number
 */
export function readQuery(
  schema: Type.TObject,
  query: string,
): Record<string, unknown> {
  const given = new URLSearchParams(query);
  const found: Record<string, unknown> = {};
  for (const [name, { type }] of Object.entries(
    schema.properties as Record<string, { type?: string }>,
  )) {
    const values = given.getAll(name);
    if (values.length > 1) throw bad(`${name} is there more than once`);
    const value = values[0];
    if (value === undefined) continue;
    if (type === "integer" && !WHOLE.test(value))
      throw bad(`${name} must be a whole number`);
    found[name] = type === "integer" ? Number(value) : value;
  }
  return found;
}

const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;

/** It becomes the message's `id`. Headers have no encoding: of other characters nobody knows which. @throws ApiError */
export function readIdempotencyKey(
  key: string | undefined,
): string | undefined {
  if (key === undefined) return undefined;
  if (PRINTABLE_ASCII.test(key) && key.length <= MAX_ID_CHARACTERS) return key;
  throw bad(
    `Idempotency-Key must be 1 to ${MAX_ID_CHARACTERS} printable characters of ASCII`,
  );
}

/** What is in the path. @throws ApiError, ProtocolError */
export function readParameter(name: string, encoded: string): string {
  let value: string;
  try {
    value = decodeURIComponent(encoded);
  } catch {
    throw bad(`${name} is not percent-encoded UTF-8`);
  }
  if (name === "room") checkName(name, value, MAX_ROOM_BYTES);
  else if (name === "user") checkName(name, value, MAX_USER_BYTES);
  else if (!WHOLE.test(value)) throw bad(`${name} must be a whole number`);
  return value;
}
