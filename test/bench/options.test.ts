import { expect, test } from "bun:test";
import { parseOptions } from "../../bench/load/options.ts";
import { HELP, parseRunOptions } from "../../bench/run/options.ts";

const URL_OPTION = ["--url", "ws://127.0.0.1:8080/chat"];
const load = (...args: string[]) => parseOptions([...URL_OPTION, ...args])!;

test("load: one group from the short options", () => {
  const { plan, pids } = load(
    "--connections",
    "5000",
    "--rooms",
    "10",
    "--rate",
    "20",
    "--pid",
    "7,8",
    "--format",
    "json,msgpack",
  );
  expect(plan.groups).toMatchObject([
    { rooms: 10, members: 500, rate: 20, senders: 10, probes: 50, stalled: 0 },
  ]);
  expect(plan.templates.map(({ name }) => name)).toEqual([
    "roomcast-json",
    "roomcast-msgpack",
  ]);
  expect(pids).toEqual([7, 8]);
});

test("load: --total-rate is shared by the rooms, --group may be repeated", () => {
  expect(
    load("--rooms", "50", "--total-rate", "200").plan.groups[0]!.rate,
  ).toBe(4);
  const { groups } = load(
    "--group",
    "name=a,rooms=2,members=3,rate=1",
    "--group",
    "name=b,members=9,rate=5,stalled=1",
  ).plan;
  expect(groups).toMatchObject([
    { name: "a", rooms: 2, members: 3, senders: 3 },
    { name: "b", rooms: 1, members: 9, senders: 8, stalled: 1 },
  ]);
  expect(groups[0]!.room_prefix).not.toBe(groups[1]!.room_prefix);
});

test("load: --url may be repeated for servers that act as one", () => {
  const { targets } = load("--url", "wss://b.example/chat").plan;
  expect(targets).toEqual([
    { url: "ws://127.0.0.1:8080/chat", addresses: ["127.0.0.1"] },
    { url: "wss://b.example/chat", addresses: ["b.example"] },
  ]);
  expect(() => load("--url", "http://b")).toThrow("not a ws://");
});

test.each([
  [["--connections", "10", "--rooms", "3"], "does not divide"],
  [["--rate", "fast"], "rate: not a number"],
  [["--connections", "1.5"], "not a whole number"],
  [["--template", "carrier-pigeon"], "carrier-pigeon"],
  [["--group", "members"], 'cannot read "members"'],
])("load: %p is refused by name", (args, message) => {
  expect(() => load(...args)).toThrow(message);
});

test("load: --help and a missing or wrong URL", () => {
  expect(parseOptions(["--help"])).toBeNull();
  expect(() => parseOptions([])).toThrow("--url is missing");
  expect(() => parseOptions(["--url", "http://a"])).toThrow("not a ws://");
});

const run = (...args: string[]) => {
  const command = parseRunOptions(args);
  if (command.type !== "run") throw new Error(command.type);
  return command.options;
};

test("run: tiers, budgets and repeats", () => {
  expect(run()).toMatchObject({
    tier: "default",
    repeats: 3,
    budget_seconds: 285,
  });
  expect(run("--quick")).toMatchObject({
    tier: "quick",
    repeats: 1,
    budget_seconds: 55,
  });
  expect(run("--full")).toMatchObject({
    tier: "full",
    budget_seconds: Infinity,
  });
  expect(run("--only", "crash, idle", "--only", "stored")).toMatchObject({
    only: ["crash", "idle", "stored"],
    budget_seconds: Infinity,
  });
  expect(run("--full", "--budget", "60", "--repeats", "5")).toMatchObject({
    budget_seconds: 60,
    repeats: 5,
  });
});

test("run: the other commands", () => {
  expect(parseRunOptions(["--list"])).toEqual({ type: "list" });
  expect(parseRunOptions(["--help"])).toEqual({ type: "help" });
  expect(parseRunOptions(["--report", "a.json"])).toEqual({
    type: "report",
    file: "a.json",
  });
  expect(parseRunOptions(["--compare", "a.json", "b.json"])).toEqual({
    type: "compare",
    before: "a.json",
    after: "b.json",
  });
});

test.each([
  [["--compare", "a.json"], "two files"],
  [["fanout"], "is it --only NAME?"],
  [["--quick", "--full"], "exclude each other"],
  [["--repeats", "0"], "--repeats: not a whole number above 0"],
  [["--budget", "soon"], "--budget"],
  [["--fast"], "--fast"],
])("run: %p is refused by name", (args, message) => {
  expect(() => parseRunOptions(args)).toThrow(message);
});

test("run: --help tells every option", () => {
  for (const option of [
    "quick",
    "full",
    "only",
    "peers",
    "repeats",
    "budget",
    "out",
    "list",
    "compare",
    "report",
  ])
    expect(HELP).toContain(`--${option}`);
});
