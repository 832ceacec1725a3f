import { NATS_URLS_ALLOWED, readNatsUrls } from "./nats-urls.ts";

/** What a row of the table of options may be. */

export type OptionValue = string | number;

/** One row of the table. `parse` turns a flag's or variable's text into the value, or says what is allowed. */
export interface OptionSpec<T extends OptionValue = OptionValue> {
  readonly fallback: T;
  readonly unit: string;
  readonly doc: string;
  /** What a value may be, as the error message and `--help` say it. */
  readonly allowed: string;
  /** @returns the value, or undefined where the text is not allowed */
  readonly parse: (text: string) => T | undefined;
  /** Texts that are allowed, for one that is no number: all of a choice, some of others. */
  readonly examples?: readonly string[];
  /** The environment variable, where it is not the one that follows from the key. */
  readonly variable?: string;
  /** Nothing may show a value of it: not even an error about it. */
  readonly secret?: boolean;
}

export function text(
  fallback: string,
  unit: string,
  doc: string,
  extra: { variable?: string; secret?: boolean } = {},
): OptionSpec<string> {
  return {
    fallback,
    unit,
    doc,
    allowed: "any text",
    examples: ["something else"],
    parse: (t) => t,
    ...extra,
  };
}

/** An HTTP URL, or "" for none. It may hold a secret: no error shows it. */
export function url(doc: string): OptionSpec<string> {
  return {
    fallback: "",
    unit: "url",
    doc,
    allowed: "an http:// or https:// URL",
    examples: ["https://app.example/hook"],
    parse: (t) => (t === "" || isHttp(t) ? t : undefined),
    secret: true,
  };
}

function isHttp(text: string): boolean {
  const protocol = URL.parse(text)?.protocol;
  return protocol === "http:" || protocol === "https:";
}

/** URLs of NATS servers, or "" for none. They may hold a password: no error shows them. */
export function natsUrls(doc: string): OptionSpec<string> {
  return {
    fallback: "",
    unit: "urls",
    doc,
    allowed: NATS_URLS_ALLOWED,
    examples: ["nats://a", "nats://bob:pa%40ss@a:4222, tls://b"],
    parse: (t) => (t === "" || readNatsUrls(t) ? t : undefined),
    secret: true,
  };
}

/** A secret, or "" for none. */
export function secret(minLength: number, doc: string): OptionSpec<string> {
  return {
    fallback: "",
    unit: "secret",
    doc,
    allowed: `at least ${minLength} characters`,
    examples: ["a".repeat(minLength)],
    parse: (t) => (t === "" || t.length >= minLength ? t : undefined),
    secret: true,
  };
}

/** Some secrets, separated by commas, so that they can be changed one after the other. */
export function secrets(minLength: number, doc: string): OptionSpec<string> {
  return {
    fallback: "",
    unit: "secrets",
    doc,
    allowed: `secrets of at least ${minLength} characters, separated by commas`,
    examples: [
      "a".repeat(minLength),
      `${"a".repeat(minLength)}, ${"b".repeat(minLength)}`,
    ],
    parse: (t) =>
      t === "" || t.split(",").every((one) => one.trim().length >= minLength)
        ? t
        : undefined,
    secret: true,
  };
}

export function matching(
  fallback: string,
  unit: string,
  pattern: RegExp,
  allowed: string,
  example: string,
  doc: string,
): OptionSpec<string> {
  return {
    fallback,
    unit,
    doc,
    allowed,
    examples: [example],
    parse: (t) => (pattern.test(t) ? t : undefined),
  };
}

export function choice<const C extends readonly string[]>(
  choices: C,
  fallback: C[number],
  doc: string,
): OptionSpec<C[number]> {
  return {
    fallback,
    unit: "",
    doc,
    allowed: choices.join(" or "),
    examples: choices,
    parse: (t) => choices.find((c) => c === t),
  };
}

export function number(
  fallback: number,
  unit: string,
  min: number,
  max: number,
  doc: string,
  extra: { variable?: string; whole?: boolean; limit?: boolean } = {},
): OptionSpec<number> {
  const whole = extra.whole ?? true;
  const kind = whole ? "a whole number" : "a number";
  return {
    fallback,
    unit,
    doc,
    allowed: `${kind} from ${min} to ${max}${extra.limit ? ", or 0 for none" : ""}`,
    parse: (t) => {
      if (!/^\d+(\.\d+)?$/.test(t)) return undefined;
      const value = Number(t);
      if (whole && !Number.isSafeInteger(value)) return undefined;
      if (extra.limit && value === 0) return Infinity;
      return value >= min && value <= max ? value : undefined;
    },
    ...(extra.variable ? { variable: extra.variable } : {}),
  };
}

/** A limit: a whole number from `min`, or 0 for none. A `fallback` of 0 is none. */
export function limit(
  fallback: number,
  unit: string,
  min: number,
  max: number,
  doc: string,
): OptionSpec<number> {
  const spec = number(fallback || Infinity, unit, min, max, doc, {
    limit: true,
  });
  return spec;
}
