import { expect, test } from "bun:test";
import { runLoad } from "../../bench/load/coordinator.ts";
import { parseOptions } from "../../bench/load/options.ts";
import { chatWithFaults, type Faults, NO_FAULTS } from "./chat-with-faults.ts";

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
);

test.concurrent(
  "the closed loop keeps sending, and loses nothing",
  async () => {
    const result = await load(NO_FAULTS, "--closed-loop", "2");
    expect(result.failures).toEqual([]);
    expect(result.total.sent).toBeGreaterThan(180);
    expect(result.total.delivered).toBe(result.total.sent * 4);
  },
);

test.concurrent("sees lost deliveries", async () => {
  const result = await load({ ...NO_FAULTS, lose: 10 });
  // Each of the 12 members should get 60.
  expect(result.total).toMatchObject({
    lost: 72,
    doubled: 0,
    reordered: 0,
    delivered: 648,
  });
  expect(result.failures).toEqual(["72 deliveries lost"]);
});

test.concurrent("sees doubled deliveries", async () => {
  const result = await load({ ...NO_FAULTS, double: 10 });
  expect(result.total).toMatchObject({
    lost: 0,
    doubled: 72,
    reordered: 0,
    delivered: 720,
  });
  expect(result.failures).toEqual(["72 deliveries doubled"]);
});

test.concurrent("sees reordered deliveries of one sender", async () => {
  const result = await load({ ...NO_FAULTS, reorder: 7 }, "--senders", "1");
  // The 7th, 14th, … 56th of the 60 come after their successors.
  expect(result.total).toMatchObject({
    lost: 0,
    doubled: 0,
    reordered: 96,
    delivered: 720,
  });
  expect(result.failures).toEqual(["96 deliveries reordered"]);
});
