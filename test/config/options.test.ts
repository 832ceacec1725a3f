import { describe, expect, test } from "bun:test";
import type { OptionSpec } from "../../src/config/kinds.ts";
import {
  OPTIONS,
  OPTION_KEYS,
  flagOf,
  tomlKeyOf,
  variableOf,
} from "../../src/config/options.ts";

/** What scripts rely on: these do not change. */
const PROMISED: readonly [
  flag: string,
  variable: string,
  fallback: string | number,
][] = [
  ["--host", "ROOMCAST_HOST", "0.0.0.0"],
  ["--port", "PORT", 8080],
  ["--data", "ROOMCAST_DATA", "./data"],
  ["--history", "ROOMCAST_HISTORY", "sqlite"],
  ["--durability", "ROOMCAST_DURABILITY", "normal"],
  ["--threads", "ROOMCAST_THREADS", 1],
  ["--nats", "ROOMCAST_NATS", ""],
  ["--max-frame-bytes", "ROOMCAST_MAX_FRAME_BYTES", 65536],
  ["--max-text-bytes", "ROOMCAST_MAX_TEXT_BYTES", 4096],
  ["--max-rooms-per-connection", "ROOMCAST_MAX_ROOMS_PER_CONNECTION", 128],
  ["--max-connections", "ROOMCAST_MAX_CONNECTIONS", Infinity],
  [
    "--max-connections-per-address",
    "ROOMCAST_MAX_CONNECTIONS_PER_ADDRESS",
    1000,
  ],
  ["--dedupe-max-keys", "ROOMCAST_DEDUPE_MAX_KEYS", 2_000_000],
  ["--max-messages-per-second", "ROOMCAST_MAX_MESSAGES_PER_SECOND", 50],
  ["--max-history-per-reply", "ROOMCAST_MAX_HISTORY_PER_REPLY", 500],
  ["--max-reply-bytes", "ROOMCAST_MAX_REPLY_BYTES", 262144],
  ["--max-data-bytes", "ROOMCAST_MAX_DATA_BYTES", 8192],
  ["--backpressure-limit-bytes", "ROOMCAST_BACKPRESSURE_LIMIT_BYTES", 1048576],
  ["--ping-interval-ms", "ROOMCAST_PING_INTERVAL_MS", 15000],
  ["--ping-timeout-ms", "ROOMCAST_PING_TIMEOUT_MS", 15000],
  ["--retention-days", "ROOMCAST_RETENTION_DAYS", Infinity],
  [
    "--retention-events-per-room",
    "ROOMCAST_RETENTION_EVENTS_PER_ROOM",
    Infinity,
  ],
];

test.each(PROMISED)(
  "%s is also %s, and its default is %p",
  (flag, variable, fallback) => {
    const key = OPTION_KEYS.find((key) => flagOf(key) === flag)!;
    expect(variableOf(key)).toBe(variable);
    expect(OPTIONS[key].fallback).toBe(fallback);
  },
);

test("no two options share a flag, a variable or a TOML key", () => {
  for (const nameOf of [flagOf, variableOf, tomlKeyOf])
    expect(new Set(OPTION_KEYS.map(nameOf)).size).toBe(OPTION_KEYS.length);
});

test("a key is spelled in kebab case as flag, in snake case in TOML", () => {
  expect(flagOf("pingIntervalMs")).toBe("--ping-interval-ms");
  expect(tomlKeyOf("pingIntervalMs")).toBe("ping_interval_ms");
  expect(variableOf("pingIntervalMs")).toBe("ROOMCAST_PING_INTERVAL_MS");
});

describe.each(OPTION_KEYS)("%s", (key) => {
  const spec: OptionSpec = OPTIONS[key];
  const bounds = /from (\S+) to (\d+)(, or 0 for none)?$/.exec(spec.allowed);

  test("allows its own default", () => {
    const text = spec.fallback === Infinity ? "0" : String(spec.fallback);
    expect(spec.parse(text)).toBe(spec.fallback);
  });

  if (typeof spec.fallback === "string") {
    test("allows exactly what it says it allows", () => {
      for (const example of spec.examples!)
        expect(spec.parse(example)).toBe(example);
      if (spec.allowed !== "any text")
        expect(spec.parse("something else")).toBeUndefined();
    });
    return;
  }

  test("allows exactly the range it says it allows", () => {
    expect(bounds).not.toBeNull();
    const [min, max] = [Number(bounds![1]), Number(bounds![2])];
    expect(spec.parse(String(min))).toBe(
      min === 0 && bounds![3] ? Infinity : min,
    );
    expect(spec.parse(String(max))).toBe(max);
    expect(spec.parse(String(max + 1))).toBeUndefined();
    if (min >= 2) expect(spec.parse(String(min - 1))).toBeUndefined();
    if (bounds![3]) expect(spec.parse("0")).toBe(Infinity);
    else if (min > 0) expect(spec.parse("0")).toBeUndefined();
  });

  test.each(["", " ", "-1", "+1", "1e3", "0x10", "1,000", "many", "Infinity"])(
    "refuses %p as a number",
    (text) => expect(spec.parse(text)).toBeUndefined(),
  );

  test("takes a fraction only where it says a number, not a whole one", () => {
    const fraction = `${bounds![2]!.length > 1 ? Number(bounds![2]) - 1 : 0}.5`;
    const taken = spec.parse(fraction) !== undefined;
    expect(taken).toBe(!spec.allowed.startsWith("a whole number"));
  });
});
