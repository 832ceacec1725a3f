import { MAX_ROOM_BYTES, nameProblem, quote } from "../protocol/validate.ts";

/** What somebody may do in a room: one bit each, so that a membership holds them in a number. */
export const RIGHTS = { join: 1, send: 2, history: 4, moderate: 8 } as const;

export type RightName = keyof typeof RIGHTS;
/** Bits of `RIGHTS`. */
export type Rights = number;

export const RIGHT_NAMES = Object.keys(RIGHTS) as RightName[];
/** What a pattern without a list of rights gives, and a token without any pattern gives for all rooms. */
export const USUAL_RIGHTS: Rights = RIGHTS.join | RIGHTS.send | RIGHTS.history;

/** Patterns of one token. Each join looks at all of them. */
export const MAX_PATTERNS = 64;
/** Names in one pattern's list; unknown ones count too. */
const MAX_NAMES = 16;

/** Who may do what, by room. */
export interface Grants {
  /** @returns what all patterns that match the room's name give together; 0 where none does */
  of(room: string): Rights;
}

/** The same in every room. */
export const everywhere = (rights: Rights): Grants => ({ of: () => rights });

/** A `rooms` claim, or one of its patterns, that is none; the message says what is allowed. */
export class RightsError extends Error {}

/**
 * Reads the `rooms` claim: `{"team-*": ["join", "send"]}`. Names of rights that are not known give nothing, so that a
 * later version can add some.
 * @throws RightsError
 */
export function readGrants(claim: unknown): Grants {
  if (typeof claim !== "object" || claim === null || Array.isArray(claim))
    throw new RightsError("rooms must be an object");
  const entries = Object.entries(claim as Record<string, unknown>);
  if (entries.length > MAX_PATTERNS)
    throw new RightsError(`rooms may hold ${MAX_PATTERNS} patterns`);
  return new PatternGrants(
    entries.map(([pattern, names]) => ({
      parts: readPattern(pattern),
      rights: readRights(names),
    })),
  );
}

/**
 * Reads the written form of one pattern: `team-*:join,send`, or `team-*` for the usual rights. Here an unknown name is an
 * error: somebody types it.
 * @throws RightsError
 */
export function parsePattern(text: string): {
  pattern: string;
  names: RightName[];
} {
  const colon = text.lastIndexOf(":");
  const pattern = colon < 0 ? text : text.slice(0, colon);
  readPattern(pattern);
  if (colon < 0)
    return {
      pattern,
      names: RIGHT_NAMES.filter((name) => USUAL_RIGHTS & RIGHTS[name]),
    };
  const names = text.slice(colon + 1).split(",");
  for (const name of names)
    if (!Object.hasOwn(RIGHTS, name))
      throw new RightsError(
        `${quote(name)} is no right; there are ${RIGHT_NAMES.join(", ")}`,
      );
  return { pattern, names: names as RightName[] };
}

/** @returns the literal parts between the asterisks */
function readPattern(pattern: string): readonly string[] {
  const problem = nameProblem(pattern, MAX_ROOM_BYTES);
  if (problem)
    throw new RightsError(`pattern ${quote(pattern)}: a pattern ${problem}`);
  return pattern.split("*");
}

function readRights(names: unknown): Rights {
  if (!Array.isArray(names) || names.length > MAX_NAMES)
    throw new RightsError(
      `a pattern's rights must be a list of at most ${MAX_NAMES}`,
    );
  let rights = 0;
  for (const name of names) {
    if (typeof name !== "string")
      throw new RightsError("a pattern's rights must be a list of strings");
    if (Object.hasOwn(RIGHTS, name)) rights |= RIGHTS[name as RightName];
  }
  return rights;
}

class PatternGrants implements Grants {
  constructor(
    private readonly patterns: readonly {
      readonly parts: readonly string[];
      readonly rights: Rights;
    }[],
  ) {}

  of(room: string): Rights {
    let all = 0;
    for (const { parts, rights } of this.patterns)
      if (matches(parts, room)) all |= rights;
    return all;
  }
}

/**
 * Whether a name is what a pattern describes: `*` stands for any characters, also none; all else for itself. Names are
 * compared as rooms are: by code unit, without folding case or Unicode forms. Taking each part where it is found first is
 * enough for `*`, and never goes back: the time is bounded by the lengths of name and pattern.
 */
function matches(parts: readonly string[], name: string): boolean {
  const first = parts[0]!;
  if (parts.length === 1) return name === first;
  const last = parts[parts.length - 1]!;
  const end = name.length - last.length;
  let at = first.length;
  if (at > end || !name.startsWith(first) || !name.endsWith(last)) return false;
  for (let i = 1; i < parts.length - 1; i++) {
    const part = parts[i]!;
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
