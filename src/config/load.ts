import { readFileSync } from "node:fs";
import type { OptionSpec, OptionValue } from "./kinds.ts";
import {
  OPTIONS,
  OPTION_KEYS,
  flagOf,
  tomlKeyOf,
  variableOf,
  type Config,
  type OptionKey,
} from "./options.ts";

/** A wrong option: one line that names the option, the value and what is allowed. */
export class ConfigError extends Error {}

const keyByFlag = new Map(OPTION_KEYS.map((key) => [flagOf(key), key]));
const keyByToml = new Map(OPTION_KEYS.map((key) => [tomlKeyOf(key), key]));

/** What the command line holds: options, `--config FILE`, and the switches that end the program at once. */
export interface CommandLine {
  readonly flags: ReadonlyMap<OptionKey, string>;
  readonly configFile: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
}

/**
 * Reads `--name value` and `--name=value`.
 * @throws ConfigError for an unknown option, or one without its value
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const flags = new Map<OptionKey, string>();
  let configFile: string | undefined;
  let help = false;
  let version = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--help" || arg === "-h") {
      help = true;
      continue;
    }
    if (arg === "--version") {
      version = true;
      continue;
    }
    const equals = arg.indexOf("=");
    const flag = equals < 0 ? arg : arg.slice(0, equals);
    const key = keyByFlag.get(flag);
    if (!key && flag !== "--config")
      throw new ConfigError(
        `unknown option ${flag}; --help lists all${closest(flag)}`,
      );
    const value = equals < 0 ? args[++i] : arg.slice(equals + 1);
    const missing =
      value === undefined ||
      (equals < 0 && value.startsWith("--")) ||
      (!key && value === "");
    if (missing)
      throw new ConfigError(
        `${flag} needs a value: ${key ? OPTIONS[key].allowed : "a TOML file"}`,
      );
    if (key) flags.set(key, value);
    else configFile = value;
  }
  return { flags, configFile, help, version };
}

function closest(flag: string): string {
  const near = [...keyByFlag.keys()].find(
    (known) => known.startsWith(flag) || flag.startsWith(known),
  );
  return near ? ` (did you mean ${near}?)` : "";
}

/**
 * Flags before environment variables before the TOML file before defaults.
 * @throws ConfigError naming the option, where it was set, the value and what is allowed
 */
export function loadConfig(
  commandLine: CommandLine,
  env: Readonly<Record<string, string | undefined>>,
): Config {
  const file = commandLine.configFile
    ? readConfigFile(commandLine.configFile)
    : new Map<OptionKey, string>();
  const config: Partial<Record<OptionKey, OptionValue>> = {};
  const given = new Set<OptionKey>();
  for (const key of OPTION_KEYS) {
    const spec: OptionSpec = OPTIONS[key];
    const variable = variableOf(key);
    const fromFlag = commandLine.flags.get(key);
    // An empty variable counts as not set: that is how shells and compose files leave one out.
    const fromEnv = env[variable] || undefined;
    const fromFile = file.get(key);
    const source = fromFlag ?? fromEnv ?? fromFile;
    if (source === undefined) {
      config[key] = spec.fallback;
      continue;
    }
    const value = spec.parse(source);
    if (value === undefined) {
      const where =
        fromFlag !== undefined
          ? flagOf(key)
          : fromEnv !== undefined
            ? variable
            : `${tomlKeyOf(key)} in ${commandLine.configFile}`;
      throw new ConfigError(
        `${where}: ${shown(spec, source)} is not allowed; allowed is ${spec.allowed}`,
      );
    }
    config[key] = value;
    given.add(key);
  }
  relate(config as Record<OptionKey, OptionValue>, given);
  checkNats(config as Config);
  checkWebhooks(config as Config);
  return config as Config;
}

/** A value in an error. */
const shown = ({ secret }: OptionSpec, value: unknown): string =>
  secret ? "the value" : JSON.stringify(value);

/** What a parser says of a file, without what it repeats of it: that may be a secret. */
const withoutValues = (message: string): string =>
  message.replace(/"[^]*"|'[^']{2,}'/g, "what is there");

function readConfigFile(path: string): Map<OptionKey, string> {
  const refuse = (why: string): never => {
    throw new ConfigError(
      `--config: ${JSON.stringify(path)} cannot be read: ${why}; allowed is a TOML file`,
    );
  };
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    refuse((error as Error).message);
  }
  let table: Record<string, unknown> = {};
  try {
    table = Bun.TOML.parse(text) as Record<string, unknown>;
  } catch (error) {
    refuse(withoutValues((error as Error).message));
  }
  const values = new Map<OptionKey, string>();
  for (const [name, value] of Object.entries(table)) {
    const key = keyByToml.get(name);
    if (!key)
      throw new ConfigError(
        `${name} in ${path}: there is no such option; --help lists all`,
      );
    if (typeof value !== "string" && typeof value !== "number")
      throw new ConfigError(
        `${name} in ${path}: ${shown(OPTIONS[key], value)} is not allowed; allowed is ${OPTIONS[key].allowed}`,
      );
    values.set(key, String(value));
  }
  return values;
}

/** Limits of which one may not exceed another, and why. */
const RELATIONS: readonly {
  readonly key:
    "maxReplyBytes" | "maxTextBytes" | "maxDataBytes" | "drainGraceMs";
  readonly most: (config: Config) => number;
  readonly allowed: string;
}[] = [
  {
    // A reply must leave room for live events, or it alone could close its reader.
    key: "maxReplyBytes",
    most: (c) => Math.floor(c.backpressureLimitBytes / 4),
    allowed: "at most a quarter of --backpressure-limit-bytes",
  },
  {
    key: "maxTextBytes",
    most: (c) => c.maxFrameBytes,
    allowed: "at most --max-frame-bytes",
  },
  {
    key: "maxDataBytes",
    most: (c) => c.maxFrameBytes,
    allowed: "at most --max-frame-bytes",
  },
  {
    key: "drainGraceMs",
    most: (c) => c.drainTimeoutMs,
    allowed: "at most --drain-timeout-ms",
  },
];

/** A user's connections that may send as much as each may, where nothing else is said. */
const USUAL_CONNECTIONS = 4;

/** Defaults that follow another limit: who lifts that one must not run into one that he did not know of. */
const FOLLOWING: readonly {
  readonly key: OptionKey;
  readonly from: (config: Config) => number;
}[] = [
  {
    key: "maxMessagesPerSecondPerUser",
    from: (c) => USUAL_CONNECTIONS * c.maxMessagesPerSecond,
  },
  {
    key: "maxBytesPerSecond",
    from: (c) =>
      c.maxMessagesPerSecond === Infinity ? Infinity : c.maxBytesPerSecond,
  },
  {
    // All clients of a proxy that is not told of have one address.
    key: "maxHandshakesPerSecond",
    from: (c) =>
      c.maxConnectionsPerAddress === Infinity
        ? Infinity
        : c.maxHandshakesPerSecond,
  },
];

/** A default gives way to a lower limit that was set; a value that was set and is above its limit is an error. */
function relate(
  config: Record<OptionKey, OptionValue>,
  given: ReadonlySet<OptionKey>,
): void {
  for (const { key, from } of FOLLOWING)
    if (!given.has(key)) config[key] = from(config as Config);
  for (const { key, most, allowed } of RELATIONS) {
    const bound = most(config as Config);
    if ((config[key] as number) <= bound) continue;
    // A limit of none that was set is none of its own: the other one holds.
    if (given.has(key) && config[key] !== Infinity)
      throw new ConfigError(
        `${flagOf(key)}: "${config[key]}" is not allowed; allowed is ${allowed} (${bound})`,
      );
    config[key] = bound;
  }
}

/** Publishes that are sent again within one `--nats-timeout-ms` must still be known. */
const NATS_TIMEOUTS_IN_WINDOW = 3;

/** @throws ConfigError */
function checkNats(config: Config): void {
  if (config.nats === "") return;
  const least = NATS_TIMEOUTS_IN_WINDOW * config.natsTimeoutMs;
  const why = `with --nats at least ${NATS_TIMEOUTS_IN_WINDOW} times --nats-timeout-ms (${least} ms)`;
  if (config.dedupeWindowMs < least)
    throw new ConfigError(
      `--dedupe-window-ms: "${config.dedupeWindowMs}" is not allowed; allowed is ${why}`,
    );
  if (config.retentionDays * DAY_MS < least)
    throw new ConfigError(
      `--retention-days: "${config.retentionDays}" is not allowed; allowed is ${why}`,
    );
}

const DAY_MS = 86_400_000;

/** Who knows the URL could else say anything in this server's name. */
const MIN_SECRET_BYTES = 24;
const BASE64_SECRET = /^whsec_([A-Za-z0-9+/]*)={0,2}$/;

/** @throws ConfigError */
function checkWebhooks(config: Config): void {
  if (!config.beforeSendUrl && !config.webhookUrl) return;
  const { webhookSecret: secret } = config;
  if (!secret.startsWith("whsec_")) {
    if (secret.length < MIN_SECRET_BYTES)
      throw new ConfigError(
        `--webhook-secret: with --before-send-url or --webhook-url it needs at least ${MIN_SECRET_BYTES} characters`,
      );
    return;
  }
  // What is no base64 would be decoded to less, or to nothing, which everybody can sign with.
  const base64 = BASE64_SECRET.exec(secret)?.[1];
  if (
    base64 === undefined ||
    Buffer.from(base64, "base64").length < MIN_SECRET_BYTES
  )
    throw new ConfigError(
      `--webhook-secret: after whsec_ it must be base64 of at least ${MIN_SECRET_BYTES} bytes`,
    );
}

/** The text of `--help`, from the same table. */
export function helpText(command = "bun run src/server.ts"): string {
  const rows = OPTION_KEYS.map((key) => {
    const spec: OptionSpec = OPTIONS[key];
    const fallback =
      spec.fallback === Infinity
        ? "0"
        : spec.fallback === ""
          ? '""'
          : spec.fallback;
    return {
      flag: flagOf(key),
      unit: spec.unit || (spec.examples ?? []).join("|"),
      fallback: String(fallback),
      doc: spec.doc,
      variable: variableOf(key),
    };
  });
  const width = (pick: (row: (typeof rows)[number]) => string): number =>
    Math.max(...rows.map((row) => pick(row).length));
  const flags = width((r) => r.flag);
  const units = width((r) => (r.unit.length > 16 ? "" : r.unit));
  const fallbacks = width((r) => r.fallback);
  const lines = rows.map((r) => {
    const unit = r.unit.length > 16 ? "" : r.unit;
    return `  ${r.flag.padEnd(flags)}  ${unit.padEnd(units)}  ${r.fallback.padStart(fallbacks)}  ${r.doc}`;
  });
  return [
    "roomcast: a chat server",
    "",
    `Usage: ${command} [options]`,
    "",
    `  ${"option".padEnd(flags)}  ${"unit".padEnd(units)}  ${"default".padStart(fallbacks)}`,
    ...lines,
    `  ${"--config".padEnd(flags)}  ${"file".padEnd(units)}  ${"".padStart(fallbacks)}  a TOML file with any of these options`,
    `  ${"--help".padEnd(flags)}  ${"".padEnd(units)}  ${"".padStart(fallbacks)}  this text`,
    `  ${"--version".padEnd(flags)}  ${"".padEnd(units)}  ${"".padStart(fallbacks)}  the version`,
    "",
    "For a limit, 0 means none. --some-name is also the environment variable ROOMCAST_SOME_NAME (the port: PORT) and",
    "the TOML key some_name. Flags win over variables, variables over the file.",
    "",
  ].join("\n");
}
