import type { Stored } from "./stored.ts";
import { digits, type WireMessage } from "./wire.ts";

const SEQUENCE = Buffer.from("Nats-Sequence: ");
const LAST_SEQUENCE = Buffer.from("Nats-Last-Sequence: ");
const TIME_STAMP = Buffer.from("Nats-Time-Stamp: ");

const LF = 10;
const DOT = ".".charCodeAt(0);
const Z = "Z".charCodeAt(0);
/** Where the dot is, if there is one: 2026-11-24T16:18:00.123456789Z, and zeros at the end are left out. */
const DOT_AT = 19;

/**
 * What `toStored` gives, from the bytes of a live message: 0.4 µs for each, while the string of the headers, searched, and
 * `Date.parse` took 1.0.
 * @returns undefined where the stream's headers are missing: not a message of a stream
 */
export function liveStored(message: WireMessage): Stored | undefined {
  const { bytes, headersAt, bodyAt } = message;
  let seq = 0;
  let prev = 0;
  let ts = Number.NaN;
  let line = headersAt;
  // The last of a name counts: the stream adds its own to what a publisher wrote.
  for (let i = headersAt; i < bodyAt; i++) {
    if (bytes[i] !== LF) continue;
    // All end with CRLF.
    const end = i - 1;
    if (begins(bytes, line, SEQUENCE))
      seq = digits(bytes, line + SEQUENCE.length, end);
    else if (begins(bytes, line, LAST_SEQUENCE))
      prev = digits(bytes, line + LAST_SEQUENCE.length, end);
    else if (begins(bytes, line, TIME_STAMP))
      ts = timeIn(bytes, line + TIME_STAMP.length, end);
    line = i + 1;
  }
  if (!(seq > 0)) return undefined;
  return { seq, prev, ts, body: message.body, bytes: message.length };
}

function begins(bytes: Buffer, at: number, name: Buffer): boolean {
  // Names of NATS begin alike: what differs is looked at first.
  for (let i = name.length - 1; i >= 0; i--)
    if (bytes[at + i] !== name[i]) return false;
  return true;
}

let hourText = "";
let hourMs = 0;

/** Ms since 1970 of a time as NATS writes it, cut like `Date.parse` cuts. */
function timeIn(bytes: Buffer, at: number, end: number): number {
  const dot = bytes[at + DOT_AT];
  if (bytes[end - 1] !== Z || (dot !== DOT && at + DOT_AT !== end - 1))
    return Date.parse(bytes.toString("latin1", at, end));
  if (!isHour(bytes, at)) {
    hourText = bytes.toString("latin1", at, at + 13);
    hourMs = Date.parse(`${hourText}:00:00Z`);
  }
  const minutes = digits(bytes, at + 14, at + 16);
  const seconds = digits(bytes, at + 17, at + 19);
  let ms = (minutes * 60 + seconds) * 1000;
  if (dot === DOT) {
    const fraction = Math.min(end - 1 - at - DOT_AT - 1, 3);
    const first = at + DOT_AT + 1;
    ms += digits(bytes, first, first + fraction) * 10 ** (3 - fraction);
  }
  return hourMs + ms;
}

/** Whether a time is in the hour of the one before. */
function isHour(bytes: Buffer, at: number): boolean {
  if (hourText === "") return false;
  for (let i = hourText.length - 1; i >= 0; i--)
    if (bytes[at + i] !== hourText.charCodeAt(i)) return false;
  return true;
}
