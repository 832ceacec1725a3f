import { parseArgs } from "node:util";
import { connectionCount, type GroupPlan, type LoadPlan } from "./plan.ts";
import { type Template, TEMPLATES } from "./templates.ts";

const DEFAULT_SENDERS = 10;
const DEFAULT_PROBES = 50;
/** Rooms of this size are probed if nothing else is said. */
const PROBED_MEMBERS = 500;

export interface LoadOptions {
  plan: LoadPlan;
  pids: number[];
  json: boolean;
  /** How many addresses were asked for; undefined leaves it to what the server answers on. */
  addresses: number | undefined;
}

/** Parses the command line. Throws an Error that names the first wrong option; gives null for `--help`. */
export function parseOptions(args: string[]): LoadOptions | null {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: "string", multiple: true },
      connections: { type: "string" },
      rooms: { type: "string" },
      rate: { type: "string" },
      "total-rate": { type: "string" },
      senders: { type: "string" },
      stalled: { type: "string" },
      probes: { type: "string" },
      group: { type: "string", multiple: true },
      bytes: { type: "string" },
      seconds: { type: "string" },
      warmup: { type: "string" },
      drain: { type: "string" },
      silence: { type: "string" },
      "closed-loop": { type: "string" },
      "no-echo": { type: "boolean" },
      template: { type: "string" },
      format: { type: "string" },
      query: { type: "string" },
      subprotocol: { type: "string" },
      hello: { type: "string", multiple: true },
      join: { type: "string" },
      joined: { type: "string" },
      send: { type: "string" },
      acks: { type: "boolean" },
      "no-acks": { type: "boolean" },
      pid: { type: "string" },
      processes: { type: "string" },
      addresses: { type: "string" },
      "connect-concurrency": { type: "string" },
      "connect-timeout": { type: "string" },
      "room-prefix": { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return null;
  if (values.url === undefined) throw new Error("--url is missing");
  for (const url of values.url)
    if (!/^wss?:$/.test(URL.parse(url)?.protocol ?? ""))
      throw new Error(`--url: not a ws:// or wss:// URL: ${url}`);

  const prefix =
    values["room-prefix"] ?? `bench-${crypto.randomUUID().slice(0, 8)}-`;
  const templates = chooseTemplates(values.template, values.format).map(
    (template) => ({
      ...template,
      ...(values.query === undefined ? {} : { query: values.query }),
      ...(values.subprotocol === undefined
        ? {}
        : { subprotocol: values.subprotocol }),
      ...(values.hello === undefined ? {} : { hello: values.hello }),
      ...(values.join === undefined ? {} : { join: values.join, joined: "" }),
      ...(values.joined === undefined ? {} : { joined: values.joined }),
      ...(values.send === undefined ? {} : { send: values.send, acks: false }),
      ...(values.acks ? { acks: true } : {}),
      ...(values["no-acks"] ? { acks: false } : {}),
    }),
  );
  const plan: LoadPlan = {
    targets: values.url.map((url) => ({
      url,
      addresses: [new URL(url).hostname],
    })),
    templates,
    groups: values.group?.map((spec, index) =>
      parseGroup(spec, `${prefix}${index}-`),
    ) ?? [simpleGroup(values, prefix)],
    text_bytes: count("--bytes", values.bytes, 64),
    echo: !values["no-echo"],
    warmup_seconds: number("--warmup", values.warmup, 2),
    seconds: number("--seconds", values.seconds, 10),
    drain_seconds: number("--drain", values.drain, 15),
    silence_seconds: number("--silence", values.silence, 3),
    closed_loop: count("--closed-loop", values["closed-loop"], 0),
    processes: count("--processes", values.processes, 1),
    connect_concurrency: count(
      "--connect-concurrency",
      values["connect-concurrency"],
      128,
    ),
    connect_timeout_seconds: number(
      "--connect-timeout",
      values["connect-timeout"],
      20,
    ),
    base_ms: Date.now(),
  };
  return {
    plan,
    pids:
      values.pid === undefined
        ? []
        : values.pid.split(",").map((pid) => count("--pid", pid, 0)),
    json: values.json ?? false,
    addresses:
      values.addresses === undefined
        ? undefined
        : count("--addresses", values.addresses, 1),
  };
}

/** What a person should know before the numbers: a plan's size in a line. */
export function describePlan(plan: LoadPlan): string {
  const groups = plan.groups.map(
    ({ rooms, members, rate, senders }) =>
      `${rooms} × ${members} members, ${rate} messages/s each from ${senders} senders`,
  );
  const formats = plan.templates.map(({ name }) => name).join(" and ");
  return `${connectionCount(plan)} connections (${formats}): ${groups.join("; ")}`;
}

function simpleGroup(
  values: Record<string, unknown>,
  room_prefix: string,
): GroupPlan {
  const parts = new Map<string, string>([["name", "all"]]);
  for (const key of ["rooms", "senders", "stalled", "probes"])
    if (values[key] !== undefined) parts.set(key, values[key] as string);
  const connections = count(
    "--connections",
    values.connections as string | undefined,
    100,
  );
  const rooms = count("--rooms", parts.get("rooms"), 1);
  parts.set("members", String(connections / rooms));
  if (connections % rooms !== 0)
    throw new Error(
      `--connections ${connections} does not divide into ${rooms} rooms`,
    );
  const total = values["total-rate"] as string | undefined;
  if (total !== undefined)
    parts.set("rate", String(number("--total-rate", total, 0) / rooms));
  else if (values.rate !== undefined) parts.set("rate", values.rate as string);
  return makeGroup(parts, room_prefix);
}

const GROUP_KEYS = [
  "name",
  "rooms",
  "members",
  "rate",
  "senders",
  "stalled",
  "probes",
];

function parseGroup(spec: string, room_prefix: string): GroupPlan {
  const parts = new Map<string, string>();
  for (const part of spec.split(",")) {
    const [key, value] = part.split("=", 2);
    if (value === undefined || !GROUP_KEYS.includes(key!))
      throw new Error(`--group: cannot read "${part}"`);
    parts.set(key!, value);
  }
  return makeGroup(parts, room_prefix);
}

function makeGroup(parts: Map<string, string>, room_prefix: string): GroupPlan {
  const members = count("members", parts.get("members"), 2);
  const stalled = count("stalled", parts.get("stalled"), 0);
  const able = members - stalled;
  return {
    name: parts.get("name") ?? room_prefix,
    rooms: count("rooms", parts.get("rooms"), 1),
    members,
    rate: number("rate", parts.get("rate"), 1),
    senders: count(
      "senders",
      parts.get("senders"),
      Math.max(1, Math.min(DEFAULT_SENDERS, able)),
    ),
    stalled,
    probes: count(
      "probes",
      parts.get("probes"),
      able >= PROBED_MEMBERS ? DEFAULT_PROBES : 0,
    ),
    room_prefix,
  };
}

function chooseTemplates(
  names = "roomcast-json",
  format: string | undefined,
): Template[] {
  const wanted = names.split(",");
  if (format !== undefined && names.startsWith("roomcast"))
    return format.split(",").map((one) => templateNamed(`roomcast-${one}`));
  const templates = wanted.map(templateNamed);
  if (format === undefined || format === "json") return templates;
  if (format !== "msgpack")
    throw new Error(`--format: json or msgpack, not ${format}`);
  return templates.map((template) => ({ ...template, encoding: "msgpack" }));
}

function templateNamed(name: string): Template {
  const template = TEMPLATES[name];
  if (template === undefined)
    throw new Error(
      `no template ${name}; there are ${Object.keys(TEMPLATES).join(", ")}`,
    );
  return template;
}

function number(
  option: string,
  text: string | undefined,
  fallback: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new Error(`${option}: not a number: ${text}`);
  return value;
}

function count(
  option: string,
  text: string | undefined,
  fallback: number,
): number {
  const value = number(option, text, fallback);
  if (!Number.isInteger(value))
    throw new Error(`${option}: not a whole number: ${text}`);
  return value;
}
