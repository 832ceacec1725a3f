/** How many avatar colours style.css has. */
export const AVATAR_COLOURS = 12;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** One or two signs for an avatar, from the first and the last word. */
export function initials(name: string): string {
  const words = name
    .replace(/\p{Cc}|(?!\u200d)\p{Cf}/gu, "")
    .split(/[\s._-]+/u)
    .filter((word) => word !== "");
  const chosen = words.length > 1 ? [words[0]!, words.at(-1)!] : words;
  const signs = chosen.map(
    (word) => graphemes.segment(word)[Symbol.iterator]().next().value!.segment,
  );
  return signs.join("").toUpperCase() || "?";
}

/** By the user's id, so that two people of one name look different. @returns 0 to AVATAR_COLOURS - 1 */
export function colourOf(user: string): number {
  let hash = 2166136261;
  for (let i = 0; i < user.length; i++)
    hash = Math.imul(hash ^ user.charCodeAt(i), 16777619);
  // Its low bits alone are not mixed well enough.
  return ((hash ^ (hash >>> 15)) >>> 0) % AVATAR_COLOURS;
}

/** "Ann is typing", "Ann and Bob are typing", "Several people are typing". */
export function typingNote(names: readonly string[]): string {
  const [first, second] = names;
  if (first === undefined) return "";
  if (second === undefined) return `${isolate(first)} is typing`;
  if (names.length === 2)
    return `${isolate(first)} and ${isolate(second)} are typing`;
  return "Several people are typing";
}

/** A name inside a sentence that is plain text: its direction must not reorder the rest (Unicode's FSI and PDI). */
export function isolate(name: string): string {
  return `\u2068${name.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}
