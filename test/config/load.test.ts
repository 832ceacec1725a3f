import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConfigError,
  helpText,
  loadConfig,
  parseCommandLine,
} from "../../src/config/load.ts";
import type { OptionSpec } from "../../src/config/kinds.ts";
import {
  OPTIONS,
  OPTION_KEYS,
  flagOf,
  tomlKeyOf,
  variableOf,
  type Config,
  type OptionKey,
} from "../../src/config/options.ts";

const folder = mkdtempSync(join(tmpdir(), "roomcast-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function tomlFile(content: string): string {
  const path = join(folder, `${files++}.toml`);
  writeFileSync(path, content);
  return path;
}

const load = (
  args: readonly string[],
  env: Record<string, string> = {},
): Config => loadConfig(parseCommandLine(args), env);

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error("it was not refused");
}

/** A value other than the default that is allowed, as text and as loaded. */
function otherValue(key: OptionKey): { text: string; value: string | number } {
  const spec: OptionSpec = OPTIONS[key];
  if (typeof spec.fallback === "string") {
    const text = spec.examples!.find((example) => example !== spec.fallback)!;
    return { text, value: text };
  }
  const [, min, max] = /from (\S+) to (\d+)/.exec(spec.allowed)!;
  const text = spec.parse(min!) === spec.fallback ? max! : min!;
  return { text, value: spec.parse(text)! };
}

describe("the command line", () => {
  test("takes --name value and --name=value", () => {
    const { flags } = parseCommandLine([
      "--port",
      "81",
      "--host=::1",
      "--session-key=--a=b",
    ]);
    expect(Object.fromEntries(flags)).toEqual({
      port: "81",
      host: "::1",
      sessionKey: "--a=b",
    });
  });

  test("lets the last of two equal flags win", () => {
    expect(load(["--port", "81", "--port", "82"]).port).toBe(82);
  });

  test("knows --help, -h and --version", () => {
    const nothing = { help: false, version: false };
    expect(parseCommandLine([])).toMatchObject(nothing);
    expect(parseCommandLine(["--help"])).toMatchObject({ help: true });
    expect(parseCommandLine(["-h"])).toMatchObject({ help: true });
    expect(parseCommandLine(["--version"])).toMatchObject({ version: true });
  });

  test("refuses an unknown option by name and offers the one that is near", () => {
    expect(refusal(() => load(["--ports", "1"]))).toBe(
      "unknown option --ports; --help lists all (did you mean --port?)",
    );
    expect(refusal(() => load(["--max-reply", "1"]))).toContain(
      "did you mean --max-reply-bytes?",
    );
    expect(refusal(() => load(["extra"]))).toBe(
      "unknown option extra; --help lists all",
    );
  });

  test.each([[["--port"]], [["--port", "--host", "x"]]])(
    "says what a flag without its value needs: %p",
    (args) => {
      expect(refusal(() => load(args))).toBe(
        "--port needs a value: a whole number from 0 to 65535",
      );
    },
  );

  test("says that --config needs a file", () => {
    expect(refusal(() => load(["--config"]))).toBe(
      "--config needs a value: a TOML file",
    );
  });
});

describe("where options come from", () => {
  test("without any, all have their defaults", () => {
    const defaults = Object.fromEntries(
      OPTION_KEYS.map((key) => [key, OPTIONS[key].fallback]),
    );
    expect(load([])).toEqual(defaults as unknown as Config);
  });

  test.each(OPTION_KEYS)(
    "%s can be set by flag, by variable and by file",
    (key) => {
      const { text, value } = otherValue(key);
      expect(value).not.toBe(OPTIONS[key].fallback);
      // Where this one is bounded by another limit, that one has to give room.
      const room = ["--max-frame-bytes=0", "--backpressure-limit-bytes=0"];
      if (key === "maxFrameBytes") room.shift();
      if (key === "backpressureLimitBytes") room.pop();
      if (key === "drainGraceMs") room.push("--drain-timeout-ms=3600000");
      if (key === "beforeSendUrl" || key === "webhookUrl")
        room.push(`--webhook-secret=${"s".repeat(24)}`);
      const quoted = typeof value === "string" ? JSON.stringify(text) : text;
      const file = tomlFile(`${tomlKeyOf(key)} = ${quoted}`);
      expect(load([...room, flagOf(key), text])[key]).toBe(value);
      expect(load(room, { [variableOf(key)]: text })[key]).toBe(value);
      expect(load([...room, "--config", file])[key]).toBe(value);
    },
  );

  test("flags win over variables, variables over the file, the file over defaults", () => {
    const file = tomlFile("port = 1\nsession_days = 1\nmax_name_bytes = 101\n");
    const config = load(["--config", file, "--port", "3"], {
      PORT: "2",
      ROOMCAST_SESSION_DAYS: "2",
    });
    expect(config.port).toBe(3);
    expect(config.sessionDays).toBe(2);
    expect(config.maxNameBytes).toBe(101);
    expect(config.pingIntervalMs).toBe(15000);
  });

  test("an empty variable counts as not set", () => {
    const file = tomlFile("port = 1");
    expect(load(["--config", file], { PORT: "" }).port).toBe(1);
  });

  test("variables of others are none of its business", () => {
    expect(load([], { HOST: "h", ROOMCAST_PORT: "1" })).toEqual(load([]));
  });

  test("a limit of 0 is none, wherever it is set", () => {
    const file = tomlFile("max_rooms_per_connection = 0");
    const config = load(["--config", file, "--max-messages-per-second=0"], {
      ROOMCAST_MAX_CONNECTIONS: "0",
    });
    expect(config.maxRoomsPerConnection).toBe(Infinity);
    expect(config.maxMessagesPerSecond).toBe(Infinity);
    expect(config.maxConnections).toBe(Infinity);
  });
});

describe("a value that is not allowed is named, with its place and what is allowed", () => {
  const allowed = "allowed is a whole number from 0 to 65535";

  test("on the command line", () => {
    expect(refusal(() => load(["--port", "x"], { PORT: "1" }))).toBe(
      `--port: "x" is not allowed; ${allowed}`,
    );
  });

  test("in a variable", () => {
    expect(refusal(() => load([], { PORT: "70000" }))).toBe(
      `PORT: "70000" is not allowed; ${allowed}`,
    );
  });

  test("in the file", () => {
    const file = tomlFile("port = -1");
    expect(refusal(() => load(["--config", file]))).toBe(
      `port in ${file}: "-1" is not allowed; ${allowed}`,
    );
  });

  test("in the file, of another type", () => {
    const file = tomlFile("port = [1]");
    expect(refusal(() => load(["--config", file]))).toBe(
      `port in ${file}: [1] is not allowed; ${allowed}`,
    );
  });

  test("a choice", () => {
    expect(refusal(() => load(["--history", "postgres"]))).toBe(
      '--history: "postgres" is not allowed; allowed is sqlite or memory',
    );
  });
});

describe("the TOML file", () => {
  test("may hold numbers, strings and comments", () => {
    const file = tomlFile(
      '# all of it\nhost = "::1"\nport = "81"\nmax_frame_bytes = 1_000_000\nretention_days = 0.5\n',
    );
    expect(load(["--config", file])).toMatchObject({
      host: "::1",
      port: 81,
      maxFrameBytes: 1_000_000,
      retentionDays: 0.5,
    });
  });

  test("is refused with an option that does not exist", () => {
    const file = tomlFile("prot = 1");
    expect(refusal(() => load(["--config", file]))).toBe(
      `prot in ${file}: there is no such option; --help lists all`,
    );
  });

  test("is refused where it is not TOML", () => {
    const file = tomlFile("port 81");
    const message = refusal(() => load(["--config", file]));
    expect(message).toStartWith(`--config: "${file}" cannot be read: `);
    expect(message).toEndWith("; allowed is a TOML file");
  });

  test("is refused without a word of what is in it: a secret that lacks its quotes, say", () => {
    for (const line of [
      "jwt_secret = pass-word-of-somebody",
      'jwt_secret = "pass-word',
      "'pass-word' = 1\n'pass-word' = 2",
      "nats = ['nats://bob:pass-word@a']",
    ]) {
      const message = refusal(() => load(["--config", tomlFile(line)]));
      expect(message).not.toContain("pass-word");
    }
  });

  test("is refused where there is none", () => {
    const file = join(folder, "missing.toml");
    expect(refusal(() => load([`--config=${file}`]))).toStartWith(
      `--config: "${file}" cannot be read: `,
    );
  });
});

describe("limits that relate", () => {
  test.each<[OptionKey, string, OptionKey, number]>([
    ["maxReplyBytes", "--backpressure-limit-bytes=8190", "maxReplyBytes", 2047],
    ["maxTextBytes", "--max-frame-bytes=1000", "maxTextBytes", 1000],
    ["maxDataBytes", "--max-frame-bytes=1000", "maxDataBytes", 1000],
    ["drainGraceMs", "--drain-timeout-ms=1500", "drainGraceMs", 1500],
  ])("the default of %s gives way to %s", (_, flag, key, value) => {
    expect(load([flag])[key]).toBe(value);
  });

  test.each([
    [
      ["--max-reply-bytes=2048", "--backpressure-limit-bytes=8190"],
      '--max-reply-bytes: "2048" is not allowed; allowed is at most a quarter of --backpressure-limit-bytes (2047)',
    ],
    [
      ["--max-text-bytes=1001", "--max-frame-bytes=1000"],
      '--max-text-bytes: "1001" is not allowed; allowed is at most --max-frame-bytes (1000)',
    ],
    [
      ["--max-data-bytes=1001", "--max-frame-bytes=1000"],
      '--max-data-bytes: "1001" is not allowed; allowed is at most --max-frame-bytes (1000)',
    ],
    [
      ["--drain-grace-ms=1501", "--drain-timeout-ms=1500"],
      '--drain-grace-ms: "1501" is not allowed; allowed is at most --drain-timeout-ms (1500)',
    ],
  ])("two that contradict each other are refused: %p", (args, message) => {
    expect(refusal(() => load(args))).toBe(message);
  });

  test("two that are just equal are allowed", () => {
    const config = load([
      "--max-reply-bytes=2047",
      "--backpressure-limit-bytes=8190",
      "--max-text-bytes=1000",
      "--max-data-bytes=1000",
      "--max-frame-bytes=1000",
      "--drain-grace-ms=1500",
      "--drain-timeout-ms=1500",
    ]);
    expect(config).toMatchObject({
      maxReplyBytes: 2047,
      maxTextBytes: 1000,
      maxDataBytes: 1000,
      drainGraceMs: 1500,
    });
  });

  test("no limit above is no bound", () => {
    const args = ["--max-frame-bytes=0", "--max-text-bytes=0"];
    expect(load(args).maxTextBytes).toBe(Infinity);
  });
});

describe("the help text", () => {
  const lines = helpText().split("\n");

  test.each(OPTION_KEYS)("has one line for %s with its default", (key) => {
    const spec: OptionSpec = OPTIONS[key];
    const flag = flagOf(key);
    const own = lines.filter((line) => line.startsWith(`  ${flag} `));
    expect(own).toHaveLength(1);
    expect(own[0]).toEndWith(`  ${spec.doc}`);
    const words = own[0]!.slice(0, -spec.doc.length).trim().split(/\s+/);
    const fallback = spec.fallback === Infinity ? "0" : spec.fallback || '""';
    expect(words.at(-1)).toBe(String(fallback));
  });

  test("names the options that are no row of the table", () => {
    for (const flag of ["--config", "--help", "--version"])
      expect(lines.some((line) => line.startsWith(`  ${flag} `))).toBe(true);
  });

  test("ends with a line end, and its columns stand below each other", () => {
    expect(lines.at(-1)).toBe("");
    const documented = OPTION_KEYS.map((key) => {
      const line = lines.find((line) => line.startsWith(`  ${flagOf(key)} `))!;
      return line.length - OPTIONS[key].doc.length;
    });
    expect(new Set(documented).size).toBe(1);
  });
});

test("--config without a file is an error, not ignored", () => {
  expect(() => parseCommandLine(["--config="])).toThrow(
    "--config needs a value: a TOML file",
  );
});

test("a limit of none ends at the limit that it may not exceed", () => {
  const config = loadConfig(
    parseCommandLine(["--max-text-bytes=0", "--max-frame-bytes=1000"]),
    {},
  );
  expect(config.maxTextBytes).toBe(1000);
});

describe("NATS", () => {
  test.each(["", "a.b", "a b", "a>", "x".repeat(33), "ü"])(
    "%p is no prefix",
    (prefix) =>
      expect(() => load([`--nats-prefix=${prefix}`])).toThrow(
        "allowed is 1 to 32 letters, digits, _ or -",
      ),
  );

  test.each([
    ["--dedupe-window-ms", "14999"],
    ["--retention-days", "0.0001"],
  ])("%s %s is too short for repeats", (flag, value) => {
    expect(load([flag, value]).nats).toBe("");
    expect(() => load(["--nats", "nats://a", flag, value])).toThrow(
      `${flag}: "${value}" is not allowed; allowed is with --nats at least 3 times --nats-timeout-ms (15000 ms)`,
    );
  });
});

test.each(["--before-send-url", "--webhook-url"])(
  "%s needs a secret that nobody guesses",
  (flag) => {
    const secret = "s".repeat(23);
    const given = [flag, "http://app/hook", "--webhook-secret", secret];
    const line = refusal(() => load(given));
    expect(line).toContain("--webhook-secret");
    expect(line).not.toContain(secret);
    expect(load([...given, "--webhook-secret", `${secret}s`])).toBeDefined();
    const base64 = (bytes: number): string =>
      `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;
    for (const bad of [
      base64(23),
      `whsec_${"!".repeat(40)}`,
      `${base64(30)}!`,
    ]) {
      const said = refusal(() => load([...given, "--webhook-secret", bad]));
      expect(said).toContain("base64");
      expect(said).not.toContain(bad);
    }
    for (const bytes of [24, 25, 26, 64])
      expect(load([...given, "--webhook-secret", base64(bytes)])).toBeDefined();
  },
);

describe("a limit that follows another", () => {
  test("a user may send four times what a connection may", () => {
    expect(load([]).maxMessagesPerSecondPerUser).toBe(200);
    const five = ["--max-messages-per-second", "5"];
    expect(load(five).maxMessagesPerSecondPerUser).toBe(20);
    const own = ["--max-messages-per-second-per-user", "7"];
    expect(load([...five, ...own]).maxMessagesPerSecondPerUser).toBe(7);
  });

  test.each([
    ["maxBytesPerSecond", "--max-messages-per-second"],
    ["maxMessagesPerSecondPerUser", "--max-messages-per-second"],
    ["maxHandshakesPerSecond", "--max-connections-per-address"],
  ] as const)("%s is none where %s is, unless it is given", (key, other) => {
    expect(load([])[key]).toBe(OPTIONS[key].fallback);
    expect(load([other, "0"])[key]).toBe(Infinity);
    expect(load([other, "0", flagOf(key), "4096"])[key]).toBe(4096);
    expect(load([other, "9", flagOf(key), "0"])[key]).toBe(Infinity);
  });
});

test.each([
  ["--jwks-url", "ftp://bob:pass-word@host/keys"],
  ["--jwks-url", "http://bob:pass-word@[host"],
  ["--jwks-url", "bob:pass-word@host"],
  ["--nats", "nats://bob:pass-word@[host"],
  ["--nats", "bob:pass-word@[host"],
  ["--nats", "nats://bob:pass/word@host:99999999"],
  ["--nats", "nats://bob:pass-word%@host"],
  ["--nats", "nats://bob:a,pass-word@host"],
  ["--nats", "http://bob:pass-word@host"],
  ["--nats", "nats://host, nats://"],
  ["--before-send-url", "ws://bob:pass-word@host"],
  ["--webhook-url", "//bob:pass-word@host"],
])("%s of %j is refused, and not shown", (flag, value) => {
  const message = refusal(() => load([flag, value]));
  expect(message).toStartWith(`${flag}: the value is not allowed; allowed is `);
  expect(message).not.toMatch(/bob|pass[-/]|-word|word@/);
});

test("a secret that is refused is not shown", () => {
  const short = "tooshort-ab";
  const line = refusal(() => load(["--api-key", `${"k".repeat(16)},${short}`]));
  expect(line).toStartWith("--api-key: ");
  expect(line).toContain("at least 16 characters");
  expect(line).not.toContain(short);
  expect(line).not.toContain("kkk");
  const key = refusal(() => load(["--session-key", short]));
  expect(key).toBe(
    "--session-key: the value is not allowed; allowed is at least 16 characters",
  );
  const url = "htps://app:hunter2@app.example/hook";
  for (const flag of ["--before-send-url", "--webhook-url"])
    expect(refusal(() => load([flag, url]))).not.toContain("hunter2");
});
