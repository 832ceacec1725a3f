/** Control characters: in a terminal they could forge a line, or do worse. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
/** In a stack, what begins a line of its own. */
const NOT_A_FRAME = /\n(?!\s+at )/g;

const escape = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/**
 * Loaded where there is a terminal: servers elsewhere need none of it.
 * @returns what makes a line of the log one for people
 */
export async function prettyLine(
  colors: boolean,
): Promise<(line: string) => string> {
  const { prettyFactory } = await import("pino-pretty");
  const pretty = prettyFactory({
    colorize: colors,
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return (line) => pretty(harmless("", JSON.parse(line)));
}

function harmless(key: string, value: unknown): unknown {
  if (typeof value === "string")
    return key === "stack"
      ? value
          .replace(NOT_A_FRAME, "\\n")
          .replace(CONTROL, (c) => (c === "\n" ? c : escape(c)))
      : value.replace(CONTROL, escape);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, harmless(name, part)]),
  );
}
