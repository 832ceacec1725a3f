/** Checks in the page, so that a mistake is told while writing. The server has the last word. */

const encoder = new TextEncoder();

export const bytesOf = (text: string): number => encoder.encode(text).length;

/** @returns bytes above the limit, 0 where it fits. @param limit 0 is none */
export function bytesOver(text: string, limit: number): number {
  // A UTF-16 unit is at most three bytes: most texts need no encoding to know.
  if (limit === 0 || text.length * 3 <= limit) return 0;
  return Math.max(0, bytesOf(text) - limit);
}

export const MAX_ROOM_BYTES = 128;
/** The server's default; one with a smaller limit tells so itself. */
export const MAX_NAME_BYTES = 64;

/** @returns what is wrong with a name of a room or a user, as a sentence */
export function nameProblem(
  name: string,
  maxBytes: number,
): string | undefined {
  if (/[\p{Cc}\u2028\u2029]/u.test(name))
    return "Control characters cannot be used here.";
  if (!name.isWellFormed()) return "It holds half a character.";
  if (name === "." || name === "..") return "Dots alone cannot be a name.";
  const over = bytesOver(name, maxBytes);
  return over > 0 ? `Too long by ${over} bytes.` : undefined;
}
