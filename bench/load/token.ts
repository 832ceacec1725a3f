/**
 * What a measured message carries in its text: `@rc:SSSSSS:NNNNNNNN:TTTTTTTTTTT`, all ASCII and of fixed width, so that
 * a receiver finds and reads it in the frame's bytes without decoding the frame, and a sender patches it in
 * place. S is the stream (a sender in a room), N the message's number in its stream from 0, T the intended send
 * time in microseconds since the run's base.
 * The idempotency key of a send is `@ak:SSSSSS:NNNNNNNN`: an ack carries it, a delivery carries both.
 */
export const TOKEN_BYTES = 31;
export const ACK_TOKEN_BYTES = 19;
export const TOKEN_MARKER = Buffer.from("@rc:");
export const ACK_MARKER = Buffer.from("@ak:");

export const STREAM_DIGITS = 6;
export const NUMBER_DIGITS = 8;
export const TIME_DIGITS = 11;
export const STREAM_AT = 4;
export const NUMBER_AT = STREAM_AT + STREAM_DIGITS + 1;
export const TIME_AT = NUMBER_AT + NUMBER_DIGITS + 1;
export const MAX_STREAMS = 10 ** STREAM_DIGITS;

const digits = (value: number, width: number): string =>
  String(value).padStart(width, "0");

export function tokenText(
  stream: number,
  number: number,
  time_us: number,
): string {
  return `@rc:${digits(stream, STREAM_DIGITS)}:${digits(number, NUMBER_DIGITS)}:${digits(time_us, TIME_DIGITS)}`;
}

export function ackTokenText(stream: number, number: number): string {
  return `@ak:${digits(stream, STREAM_DIGITS)}:${digits(number, NUMBER_DIGITS)}`;
}

/** Whether `@rc:` stands at `at`. */
export function isTokenAt(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at + 1] === 0x72 &&
    bytes[at] === 0x40 &&
    bytes[at + 2] === 0x63 &&
    bytes[at + 3] === 0x3a
  );
}

/** Reads `count` (at most 9) ASCII digits; does not check that they are digits. */
export function readDigits(
  bytes: Uint8Array,
  at: number,
  count: number,
): number {
  let value = 0;
  for (let i = at, end = at + count; i < end; i++)
    value = value * 10 + (bytes[i]! & 15);
  return value;
}

/** Reads the intended send time (µs since the run's base) of the token at `at`. */
export function readTime(bytes: Uint8Array, at: number): number {
  const low = TIME_AT + TIME_DIGITS - 6;
  return (
    readDigits(bytes, at + TIME_AT, TIME_DIGITS - 6) * 1e6 +
    readDigits(bytes, at + low, 6)
  );
}
