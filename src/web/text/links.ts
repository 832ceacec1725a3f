export interface Link {
  readonly href: string;
  /** As it was written. */
  readonly text: string;
}

/** Ends at white space, quotes and angle brackets, and at what could make it look like another one: controls, bidi marks. */
const CANDIDATE =
  /\bhttps?:\/\/[^\s<>"'`\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/giu;

const MAX_LINKS = 50;

/**
 * Text cut into plain parts and links. Only http and https; no address with a user name in it, which is how
 * `https://bank.example@evil.example` looks like another one.
 */
export function findLinks(text: string): (string | Link)[] {
  const parts: (string | Link)[] = [];
  let end = 0;
  let found = 0;
  for (const match of text.matchAll(CANDIDATE)) {
    const written = withoutTrailing(match[0]);
    const href = safeHref(written);
    if (href === undefined || ++found > MAX_LINKS) continue;
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push({ href, text: written });
    end = match.index + written.length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

function safeHref(written: string): string | undefined {
  if (!URL.canParse(written)) return undefined;
  const url = new URL(written);
  const isWeb = url.protocol === "http:" || url.protocol === "https:";
  return isWeb && url.username === "" && url.password === ""
    ? url.href
    : undefined;
}

const CLOSING: Readonly<Record<string, string>> = {
  ")": "(",
  "]": "[",
  "}": "{",
};

/** Punctuation at the end belongs to the sentence, a closing bracket only where its opening one is not in the address. */
function withoutTrailing(written: string): string {
  let end = written.length;
  for (; end > 0; end--) {
    const last = written[end - 1]!;
    if (/[.,;:!?*_~…。、]/.test(last)) continue;
    const opening = CLOSING[last];
    if (opening === undefined) break;
    const address = written.slice(0, end);
    if (address.split(opening).length >= address.split(last).length) break;
  }
  return written.slice(0, end);
}
