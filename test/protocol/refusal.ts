import { expect } from "bun:test";
import { ProtocolError } from "../../src/protocol/errors.ts";

/** @returns code and message of the ProtocolError with which `run` must fail */
export function refusal(run: () => unknown): [code: string, message: string] {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    const { code, message } = error as ProtocolError;
    return [code, message];
  }
  throw new Error("it was not refused");
}
