import { expect, test } from "bun:test";
import { encodeHistogram, newHistogram } from "../../bench/load/histogram.ts";
import type { GroupResult, LoadResult } from "../../bench/load/result.ts";
import { judge } from "../../bench/run/judge.ts";
import { chooseCases } from "../../bench/run/case.ts";
import { scenarios } from "../../bench/scenarios.ts";

const EMPTY = encodeHistogram(newHistogram());
const times = (p50: number, p99: number, count = 100) => ({
  count,
  mean: p50,
  p50,
  p90: p50,
  p99,
  p999: p99,
  max: p99,
  encoded: EMPTY,
});
const fanout = chooseCases(scenarios(20_000), "full", ["fanout/1000"])[0]!;

/** A result in which all went well, with changes. */
function result(
  group: Partial<GroupResult> = {},
  other: Partial<LoadResult> = {},
): LoadResult {
  const counts = { delivered_in_window: 1000 };
  return {
    connections: 100,
    groups: [
      {
        name: "room",
        stalled: 0,
        latency: times(9000, 30_000),
        probe_latency: times(8000, 20_000),
        ack_latency: times(0, 0, 0),
        lateness: times(200, 400),
        ...counts,
        ...group,
      } as GroupResult,
    ],
    total: counts,
    deliveries_per_second: 1000,
    offered_deliveries_per_second: 1000,
    connect: { ...times(1000, 2000), seconds: 2 },
    server: {
      cpu_us_per_delivery: 7,
      connect_cpu_us_per_connection: 30,
      rss_before_bytes: 1000,
      rss_end_bytes: 51_000,
      peak_rss_bytes: 60_000,
    },
    generators: [
      {
        probes: false,
        cpu_share: 0.3,
        waited_share: 0.1,
        process_cpu_share: 0.3,
      },
      {
        probes: true,
        cpu_share: 0.1,
        waited_share: 0.1,
        process_cpu_share: 0.1,
      },
    ],
    stalled_ended: 0,
    failures: [],
    client_bound: [],
    cut_off: false,
    ...other,
  } as unknown as LoadResult;
}

test("the probes' latency is the one that is told", () => {
  const { verdict, figures } = judge(fanout, result());
  expect(verdict).toBe("ok");
  expect(figures).toMatchObject({
    p50_us: 8000,
    p99_us: 20_000,
    cpu_us_per_delivery: 7,
    connects_per_second: 50,
  });
  expect(
    judge(fanout, result({ probe_latency: times(0, 0, 0) })).figures.p50_us,
  ).toBe(9000);
});

test("where servers act as one: CPU per event, and latency by how far away the receiver is", () => {
  const [small] = chooseCases(scenarios(20_000), "full", ["cluster/small-1x1"]);
  const group: Partial<GroupResult> = {
    members: 2,
    delivered_in_window: 8000,
    probe_latency: times(0, 0, 0),
    own_latency: times(1000, 5000),
    across_latency: times(1500, 7000),
  };
  const use = {
    plan: { seconds: 4 },
    server: { cpu_seconds: 0.4 },
    beneath: { cpu_seconds: 0.1 },
  } as unknown as LoadResult;
  const { figures } = judge(small!, result(group, use));
  expect(figures).toMatchObject({
    cpu_us_per_event: 100,
    nats_us_per_event: 25,
    own_p50_us: 1000,
    own_p99_us: 5000,
    across_p50_us: 1500,
    across_p99_us: 7000,
  });
  expect(figures.published_per_second).toBeUndefined();
  // One node has no other, and only a closed loop tells what it could publish.
  const alone = judge(
    { ...small!, closed_loop: 1 },
    result({ ...group, across_latency: times(0, 0, 0) }, use),
  ).figures;
  expect(alone.across_p50_us).toBeUndefined();
  expect(alone.published_per_second).toBe(1000);
  const late = judge(
    small!,
    result({ ...group, lateness: times(100, 6000) }, use),
  ).figures;
  expect(late).toMatchObject({ own_p50_us: 1000, across_p50_us: 1500 });
  expect(late.own_p99_us).toBeUndefined();
  expect(late.across_p99_us).toBeUndefined();
});

test("percentiles that late sends are a part of are left out, others stay", () => {
  const { figures } = judge(fanout, result({ lateness: times(100, 15_000) }));
  expect(figures.p50_us).toBe(8000);
  expect(figures.p99_us).toBeUndefined();
});

test("without a core for its generator, a run tells no latency and blames no server", () => {
  const generators = [
    {
      probes: false,
      cpu_share: 0.2,
      waited_share: 0.8,
      process_cpu_share: 0.2,
    },
    {
      probes: true,
      cpu_share: 0.2,
      waited_share: 0.79,
      process_cpu_share: 0.2,
    },
  ];
  const { verdict, figures } = judge(
    fanout,
    result(
      {},
      { generators, client_bound: ["no core"], deliveries_per_second: 300 },
    ),
  );
  expect(verdict).toBe("client-bound");
  expect(figures.p50_us).toBeUndefined();
  expect(figures.cpu_us_per_delivery).toBe(7);
});

test("so few deliveries that their cost says nothing have none", () => {
  const { figures } = judge(fanout, result({}, { deliveries_per_second: 200 }));
  expect(figures.cpu_us_per_delivery).toBeUndefined();
  expect(figures.delivered_per_second).toBe(200);
});

test("a server that does not keep up is behind, not broken", () => {
  const queue = { latency: times(600_000, 900_000) };
  const slow = judge(fanout, result(queue, { deliveries_per_second: 900 }));
  // The same count, missed by a moment at the end.
  expect(
    judge(fanout, result({}, { deliveries_per_second: 900 })).verdict,
  ).toBe("ok");
  expect(slow).toMatchObject({
    verdict: "behind",
    reasons: ["carried 900 of 1,000 deliveries/s"],
  });
  const cut = judge(
    fanout,
    result(
      {},
      {
        cut_off: true,
        failures: ["cut off while 5 deliveries were still on their way"],
      },
    ),
  );
  expect(cut.verdict).toBe("behind");
});

test("what was lost is a failure, also of a server that was behind", () => {
  expect(
    judge(fanout, result({}, { failures: ["5 deliveries lost"] })),
  ).toMatchObject({
    verdict: "failed",
    reasons: ["5 deliveries lost"],
  });
  const both = result(
    {},
    { cut_off: true, failures: ["cut off while 5", "3 deliveries doubled"] },
  );
  expect(judge(fanout, both).verdict).toBe("failed");
});

test("memory per connection is told where connections are all there is", () => {
  expect(judge(fanout, result()).figures.bytes_per_connection).toBeUndefined();
  const idle = { ...fanout, kind: "connect" as const };
  const quiet = result(
    {},
    { deliveries_per_second: 0, offered_deliveries_per_second: 0 },
  );
  expect(judge(idle, quiet)).toMatchObject({
    verdict: "ok",
    figures: { bytes_per_connection: 500 },
  });
});
