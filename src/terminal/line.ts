import { display, oneLine } from "../protocol/text.ts";

/**
 * How things look as lines of a terminal. Texts and names are others': whatever they hold, they stay on their line and
 * command nothing.
 */

/** What turns the direction of writing could make a line read as another (https://trojansource.codes). */
const TURNING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** One line, without anything that a terminal obeys. */
export function harmless(text: string): string {
  return oneLine(text.replaceAll("\t", "  ")).replace(TURNING, "");
}

export interface Style {
  name(name: string, id: string): string;
  dim(text: string): string;
  failure(text: string): string;
}

/** Cyan, green, yellow, blue, magenta: readable on light and dark. */
const NAME_COLOURS = [36, 32, 33, 34, 35];

const painted = (code: number, text: string): string =>
  `\x1b[${code}m${text}\x1b[0m`;

export const COLOURED: Style = {
  name(name, id) {
    let hash = 0;
    for (let i = 0; i < id.length; i++)
      hash = (Math.imul(hash, 31) + id.charCodeAt(i)) >>> 0;
    return painted(NAME_COLOURS[hash % NAME_COLOURS.length]!, name);
  },
  dim: (text) => painted(2, text),
  failure: (text) => painted(31, text),
};

export const PLAIN: Style = {
  name: (name) => name,
  dim: (text) => text,
  failure: (text) => text,
};

/** @param isTerminal whether the output is one; https://no-color.org turns colours off all the same */
export function styleFor(
  isTerminal: boolean,
  env: { readonly [name: string]: string | undefined },
): Style {
  return isTerminal && !env.NO_COLOR && env.TERM !== "dumb" ? COLOURED : PLAIN;
}

/**
 * A message: `14:05 [Ann]: hello`.
 * @param now ms since 1970: a message of another day shows its date
 */
export function messageLine(
  message: {
    readonly from: string;
    readonly user: string;
    readonly text: string;
    readonly ts: number;
  },
  style: Style,
  now: number,
): string {
  const name = style.name(`[${display(harmless(message.from))}]`, message.user);
  return `${style.dim(clock(message.ts, now))} ${name}: ${harmless(message.text)}`;
}

function clock(ts: number, now: number): string {
  const at = new Date(ts);
  const two = (n: number): string => String(n).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.toDateString() === new Date(now).toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}
