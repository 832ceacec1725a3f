import {
  choice,
  limit,
  matching,
  natsUrls,
  number,
  secret,
  secrets,
  text,
  url,
  type OptionSpec,
} from "./kinds.ts";

/**
 * Every option and every limit, in one table: key, unit, default, what is allowed, what it is for.
 *
 * A key `pingIntervalMs` is the flag `--ping-interval-ms`, the variable `ROOMCAST_PING_INTERVAL_MS` and the TOML key
 * `ping_interval_ms`. For a limit 0 means none: the loaded configuration then holds `Infinity`.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 86_400_000;
const MANY = 1_000_000_000;

export const OPTIONS = {
  host: text("0.0.0.0", "address", "where the server listens"),
  port: number(8080, "", 0, 65535, "where the server listens; 0 picks one", {
    variable: "PORT",
  }),
  tlsCert: text(
    "",
    "file",
    "PEM, with its chain: connections are encrypted; read again on SIGHUP",
  ),
  tlsKey: text("", "file", "PEM: its private key"),
  page: choice(["on", "off"], "on", "the chat page at /"),
  metrics: choice(
    ["on", "off"],
    "on",
    "figures for Prometheus at /metrics, for whoever asks",
  ),
  logLevel: {
    ...choice(
      ["silent", "error", "warn", "info", "debug"],
      "info",
      "what is logged: silent, error, warn, info or debug (a line for each connection)",
    ),
    unit: "level",
  },
  threads: number(
    1,
    "threads",
    1,
    64,
    "gateways that share the port, each on a thread of its own; 1 is a single thread for all",
  ),
  data: text("./data", "folder", "history, session key and guest counter"),
  history: choice(
    ["sqlite", "memory"],
    "sqlite",
    "where history is kept; memory forgets it at exit and writes no file",
  ),
  durability: choice(
    ["normal", "full"],
    "normal",
    "normal survives kill -9 of the process; full survives power loss too",
  ),
  sessionKey: secret(
    16,
    "signs guest sessions; at least 16 characters; empty: a key made once and kept in the data folder",
  ),
  sessionDays: number(
    30,
    "days",
    1,
    3650,
    "how long a guest session can be used",
  ),
  apiKey: secrets(
    16,
    "opens the HTTP API at /api/v1 to the application's back end; without one there is no API",
  ),

  auth: choice(
    ["auto", "anonymous", "required", "optional"],
    "auto",
    "anonymous: only guests; required: only who has a token; optional: both; auto: required once there is a key",
  ),
  jwtSecret: text(
    "",
    "secret",
    "tokens are checked with it (HS256); at least 32 bytes",
    { secret: true },
  ),
  jwtPublicKey: text(
    "",
    "file",
    "PEM: tokens are checked with it (RS256, ES256 or EdDSA, by its kind)",
  ),
  jwksUrl: url(
    "tokens are checked with the keys that are there (RS256, ES256, EdDSA)",
  ),
  jwksCooldownMs: number(
    30000,
    "ms",
    0,
    3_600_000,
    "tokens that name an unknown key make the keys be fetched again at most this often",
  ),
  jwtIssuer: text("", "text", "what a token's iss must be; empty: anything"),
  jwtAudience: text(
    "",
    "text",
    "what a token's aud must be or hold; empty: anything",
  ),
  guestRooms: text(
    "*",
    "patterns",
    'what guests may do where, such as "lobby:join,send news-*:join"; a pattern alone is join, send, history',
  ),
  authTimeoutMs: number(
    5000,
    "ms",
    100,
    3_600_000,
    "how long a connection that needs a token may be without one",
  ),
  tokenWarningMs: number(
    60000,
    "ms",
    0,
    DAY_MS,
    "so long before its token expires a connection is told",
  ),
  allowedOrigins: text(
    "",
    "origins",
    "pages that may connect, such as https://chat.example.com,https://*.example.com; empty: all",
  ),
  trustedProxies: text(
    "",
    "addresses",
    "whose X-Forwarded-For is believed, such as 127.0.0.1,10.0.0.0/8",
  ),

  nats: natsUrls(
    "NATS servers that keep the history instead, for several servers that act as one: nats://a,nats://b",
  ),
  // Also a stream's name, so no dots; short, so that subjects stay far below NATS's 4 KiB for a control line.
  natsPrefix: matching(
    "roomcast",
    "name",
    /^[A-Za-z0-9_-]{1,32}$/,
    "1 to 32 letters, digits, _ or -",
    "chat-2",
    "begins the names of all streams and subjects; servers with the same one act as one",
  ),
  natsStreams: number(
    1,
    "streams",
    1,
    64,
    "streams over which rooms are spread; cannot change once there is history",
  ),
  natsReplicas: number(
    1,
    "replicas",
    1,
    5,
    "NATS servers that keep each stream; 3 survive the loss of one",
  ),
  natsCreds: text("", "file", "credentials for NATS"),
  natsCa: text("", "file", "certificate authority of the NATS servers"),
  natsMaxInFlight: number(
    256,
    "messages",
    1,
    4096,
    "messages sent to NATS and not yet acknowledged",
  ),
  natsTimeoutMs: number(
    5000,
    "ms",
    500,
    60_000,
    "after which a message that NATS did not acknowledge is answered",
  ),

  beforeSendUrl: url(
    "asked about each message before it is sent: may change or refuse it",
  ),
  beforeSendTimeoutMs: number(
    1000,
    "ms",
    10,
    60_000,
    "how long --before-send-url may take to answer",
  ),
  beforeSendFailure: choice(
    ["closed", "open"],
    "closed",
    "a message about which it does not answer: closed refuses it, open sends it",
  ),
  webhookUrl: url(
    "told about messages after they were sent or deleted, in batches",
  ),
  webhookSecret: text(
    "",
    "secret",
    "signs what both URLs are sent; whsec_… is base64",
    { secret: true },
  ),

  maxFrameBytes: limit(
    65536,
    "bytes",
    256,
    64 * MIB,
    "a larger frame closes the connection with 1009",
  ),
  maxTextBytes: limit(
    4096,
    "bytes",
    1,
    16 * MIB,
    "text of a message, as UTF-8",
  ),
  maxDataBytes: limit(
    8192,
    "bytes",
    2,
    16 * MIB,
    "data of a message, as JSON in UTF-8",
  ),
  maxNameBytes: number(
    64,
    "bytes",
    16,
    1024,
    "a guest's display name, as UTF-8",
  ),
  maxRoomsPerConnection: limit(
    128,
    "rooms",
    1,
    MANY,
    "rooms one connection may be in",
  ),
  maxConnections: limit(0, "connections", 1, MANY, "connections in all"),
  maxConnectionsPerAddress: limit(
    1000,
    "connections",
    1,
    MANY,
    "connections from one IP address, or one /64 network of IPv6",
  ),
  maxHandshakesPerSecond: limit(
    100,
    "per second",
    1,
    MANY,
    "connects from one address, on each thread, refused ones too; bursts of ten times that; default none where the above is",
  ),
  maxMessagesPerSecond: limit(
    50,
    "per second",
    1,
    MANY,
    "messages a connection may send; bursts of twice that",
  ),
  maxMessagesPerSecondPerUser: limit(
    200,
    "per second",
    1,
    MANY,
    "the same over all connections of a user, on each thread; default four times the above",
  ),
  maxRequestsPerSecond: limit(
    100,
    "per second",
    1,
    MANY,
    "other frames a connection may send; bursts of four times that",
  ),
  maxBytesPerSecond: limit(
    MIB,
    "bytes",
    1024,
    MANY,
    "what a connection may send in a second; bursts of four times that; default none where messages are not limited",
  ),
  maxHistoryPerReply: number(
    500,
    "events",
    1,
    10_000,
    "events in one reply; a larger request is cut to it",
  ),
  maxReplyBytes: number(
    262144,
    "bytes",
    1024,
    64 * MIB,
    "events in one reply end here, with at least one",
  ),
  replyBytesPerTurn: number(
    1 * MIB,
    "bytes",
    1024,
    256 * MIB,
    "replies sent in one turn of the event loop, before live events go on",
  ),
  backpressureLimitBytes: limit(
    1048576,
    "bytes",
    4096,
    1024 * MIB,
    "unsent bytes at which a slow consumer is closed",
  ),
  maxBufferedBytes: limit(
    256 * MIB,
    "bytes",
    MIB,
    1024 * 1024 * MIB,
    "unsent bytes of all connections; above it the slowest are closed",
  ),

  pingIntervalMs: number(
    15000,
    "ms",
    100,
    3_600_000,
    "silence after which the server pings a connection",
  ),
  pingTimeoutMs: number(
    15000,
    "ms",
    100,
    3_600_000,
    "further silence after which it is gone",
  ),
  drainTimeoutMs: number(
    30000,
    "ms",
    100,
    3_600_000,
    "from SIGTERM or SIGINT to the exit, at most",
  ),
  drainGraceMs: number(
    2000,
    "ms",
    0,
    3_600_000,
    "time for clients to leave on their own when the server drains",
  ),

  dedupeWindowMs: number(
    600000,
    "ms",
    0,
    DAY_MS,
    "how long an idempotency key is known",
  ),
  dedupeMaxKeys: number(
    2000000,
    "keys",
    0,
    16_000_000,
    "idempotency keys known at a time",
  ),
  retentionDays: {
    ...number(Infinity, "days", 0.0001, 36500, "older events are removed", {
      whole: false,
      limit: true,
    }),
  },
  retentionEventsPerRoom: limit(
    0,
    "events",
    1,
    MANY,
    "a room keeps its latest events up to this many",
  ),
  memoryHistoryBytes: number(
    256 * MIB,
    "bytes",
    MIB,
    64 * 1024 * MIB,
    "what --history memory may hold; the oldest events go first",
  ),
  commitPaceMs: number(
    1,
    "ms",
    0,
    1000,
    "under load, the time between two commits of the log",
  ),
  moveIntervalMs: number(
    10000,
    "ms",
    10,
    3_600_000,
    "how often events go from the log to the history, and retention is applied",
  ),
  maxUncommittedEvents: number(
    20_000,
    "events",
    1,
    MANY,
    "events that may wait for the log; more are answered overloaded",
  ),
  maxUnmovedEvents: number(
    2_000_000,
    "events",
    1000,
    MANY,
    "events in the log that history lacks; more are answered overloaded",
  ),

  sliceMembers: number(
    256,
    "members",
    1,
    65536,
    "members of a room that one turn of the event loop serves",
  ),
  overloadEvents: number(
    1000,
    "events",
    1,
    MANY,
    "undelivered events of a room at which it answers overloaded",
  ),
  overloadBytes: number(
    8 * MIB,
    "bytes",
    1024,
    1024 * MIB,
    "the same, in bytes",
  ),
  overloadMs: number(
    1000,
    "ms",
    10,
    3_600_000,
    "the same, as the age of the oldest",
  ),
  ringEventsPerRoom: number(
    128,
    "events",
    1,
    65536,
    "recent events of a room that are kept encoded for resumes",
  ),
  ringBytes: number(
    64 * MIB,
    "bytes",
    64 * KIB,
    64 * 1024 * MIB,
    "the same over all rooms",
  ),
  presenceDetailUsers: number(
    200,
    "users",
    0,
    100_000,
    "in a larger room members_changed tells only the count, and typing is not relayed",
  ),
  idleRoomMs: number(
    60000,
    "ms",
    0,
    DAY_MS,
    "how long a room without members stays in memory",
  ),
  maxIdleRooms: number(
    10_000,
    "rooms",
    0,
    MANY,
    "rooms without members in memory",
  ),
} as const satisfies Record<string, OptionSpec<any>>;

export type OptionKey = keyof typeof OPTIONS;

/** The loaded configuration. A limit of none is `Infinity`. */
export type Config = {
  readonly [K in OptionKey]: (typeof OPTIONS)[K] extends OptionSpec<infer T>
    ? T
    : never;
};

const snake = (key: string): string =>
  key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

export const flagOf = (key: OptionKey): string =>
  `--${snake(key).replaceAll("_", "-")}`;
export const tomlKeyOf = (key: OptionKey): string => snake(key);
export const variableOf = (key: OptionKey): string =>
  (OPTIONS[key] as OptionSpec).variable ??
  `ROOMCAST_${snake(key).toUpperCase()}`;

export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];
