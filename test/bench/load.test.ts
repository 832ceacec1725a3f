import { expect, test } from "bun:test";
import { runLoad } from "../../bench/load/coordinator.ts";
import { parseOptions } from "../../bench/load/options.ts";
import { chatWithFaults, type Faults, NO_FAULTS } from "./chat-with-faults.ts";

/** Ends what hangs; processes start slowly on a busy machine. */
const PATIENCE_MS = 60_000;

async function load(faults: Faults, ...options: string[]) {
  using server = chatWithFaults(faults);
  const url = `ws://127.0.0.1:${server.port}/chat`;
  const base = [
    "--url",
    url,
    "--connections",
    "12",
    "--rooms",
    "3",
    "--rate",
    "50",
    "--silence",
    "0.5",
    "--warmup",
    "0.2",
    "--seconds",
    "1",
  ];
  const { plan } = parseOptions([...base, ...options])!;
  return await runLoad({ plan, pids: [process.pid] });
}

test.concurrent(
  "counts every delivery and ack, in JSON and MessagePack, over two processes",
  async () => {
    const result = await load(
      NO_FAULTS,
      "--format",
      "json,msgpack",
      "--processes",
      "2",
    );
    expect(result.failures).toEqual([]);
    expect(result.total).toMatchObject({
      sent: 180,
      expected: 720,
      delivered: 720,
      acks_expected: 180,
      acks: 180,
    });
    expect(result.groups[0]!.latency.count).toBe(600);
    expect(result.groups[0]!.ack_latency.count).toBe(150);
    expect(result.server!.cpu_seconds).toBeGreaterThanOrEqual(0);
  },
  PATIENCE_MS,
);

/** A load on two servers that act as one; the second one has faults. */
async function loadTwo(faults: Faults, ...options: string[]) {
  const members = new Map();
  using first = chatWithFaults(NO_FAULTS, members);
  using second = chatWithFaults(faults, members);
  const urls = [first, second].flatMap(({ port }) => [
    "--url",
    `ws://127.0.0.1:${port}/chat`,
  ]);
  const { plan } = parseOptions([
    ...urls,
    ...["--connections", "12", "--rooms", "3", "--rate", "50"],
    ...["--silence", "0.5", "--warmup", "0.2", "--seconds", "1"],
    ...options,
  ])!;
  return await runLoad({
    plan,
    pids: [process.pid],
    beneath: [process.pid],
  });
}

test.concurrent(
  "members of a room take turns over several servers; every delivery is counted, those across apart",
  async () => {
    const options = ["--connections", "9", "--senders", "1"];
    const result = await loadTwo(NO_FAULTS, ...options, "--processes", "2");
    expect(result.failures).toEqual([]);
    expect(result.total).toMatchObject({ expected: 540, delivered: 540 });
    // The sender and the third member are on one server, the second on the other.
    const { latency, own_latency, across_latency } = result.groups[0]!;
    expect(latency.count).toBe(450);
    expect(own_latency.count).toBe(300);
    expect(across_latency.count).toBe(150);
    expect(result.beneath!.pids).toEqual([process.pid]);
  },
  PATIENCE_MS,
);

test.concurrent(
  "what one of several servers loses is seen",
  async () => {
    const result = await loadTwo({ ...NO_FAULTS, lose: 10 }, "--senders", "1");
    // Only the sender of the second room is connected to it: 6 of 60 messages to each of 4 members.
    expect(result.total).toMatchObject({ lost: 24, delivered: 696 });
    expect(result.failures).toEqual(["24 deliveries lost"]);
  },
  PATIENCE_MS,
);

test.concurrent(
  "the closed loop keeps sending, and loses nothing",
  async () => {
    const result = await load(NO_FAULTS, "--closed-loop", "2");
    expect(result.failures).toEqual([]);
    expect(result.total.sent).toBeGreaterThan(180);
    expect(result.total.delivered).toBe(result.total.sent * 4);
  },
  PATIENCE_MS,
);

test.concurrent(
  "sees lost deliveries",
  async () => {
    const result = await load({ ...NO_FAULTS, lose: 10 });
    // Each of the 12 members should get 60.
    expect(result.total).toMatchObject({
      lost: 72,
      doubled: 0,
      reordered: 0,
      delivered: 648,
    });
    expect(result.failures).toEqual(["72 deliveries lost"]);
  },
  PATIENCE_MS,
);

test.concurrent(
  "sees doubled deliveries",
  async () => {
    const result = await load({ ...NO_FAULTS, double: 10 });
    expect(result.total).toMatchObject({
      lost: 0,
      doubled: 72,
      reordered: 0,
      delivered: 720,
    });
    expect(result.failures).toEqual(["72 deliveries doubled"]);
  },
  PATIENCE_MS,
);

test.concurrent(
  "sees reordered deliveries of one sender",
  async () => {
    const result = await load({ ...NO_FAULTS, reorder: 7 }, "--senders", "1");
    // The 7th, 14th, … 56th of the 60 come after their successors.
    expect(result.total).toMatchObject({
      lost: 0,
      doubled: 0,
      reordered: 96,
      delivered: 720,
    });
    expect(result.failures).toEqual(["96 deliveries reordered"]);
  },
  PATIENCE_MS,
);

test.concurrent(
  "members that stop reading are not waited for, and their end is noticed",
  async () => {
    const options = ["--connections", "4", "--rooms", "1", "--stalled", "1"];
    const kept = await load(NO_FAULTS, ...options);
    expect(kept.failures).toEqual([]);
    expect(kept).toMatchObject({
      stalled_ended: 0,
      total: { expected: 180, delivered: 180 },
    });
    // The last member is the stalled one.
    const closed = await load(
      { ...NO_FAULTS, hang_up_on: "u000003" },
      ...options,
    );
    expect(closed.failures).toEqual([]);
    expect(closed).toMatchObject({
      stalled_ended: 1,
      ended: {},
      total: { delivered: 180 },
    });
  },
  PATIENCE_MS,
);

test.concurrent(
  "a connection that the server ends is a failure, with what was lost on it",
  async () => {
    const { failures, total } = await load(
      { ...NO_FAULTS, hang_up_on: "u000003" },
      "--connections",
      "4",
      "--rooms",
      "1",
      "--senders",
      "1",
    );
    expect(failures).toContain(
      "1 connections ended: closed without a Close frame (1006)",
    );
    expect(total.lost_on_ended).toBeGreaterThan(0);
    expect(total.lost).toBe(0);
  },
  PATIENCE_MS,
);
