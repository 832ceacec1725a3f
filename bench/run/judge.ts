import type { GroupResult, LoadResult, Measured } from "../load/result.ts";
import type { Case } from "./case.ts";
import type { Figures } from "./figures.ts";
import type { LoadCounts, Measurement, Verdict } from "./run-file.ts";

/** Less than this share of what was offered was delivered in time, and half of it later than that: a queue that grows. */
const QUEUE_US = 500_000;
/** Delivered in time, of what was offered. */
export const CARRIED_SHARE = 0.95;
/** Below this share, what a delivery cost says nothing of what it would cost: writes are hardly shared, or all are. */
const LEAST_SHARE = 0.25;
/** Behind as well: a median latency that no chat can bear. */
const UNBEARABLE_US = 2_000_000;
/** Sends later than this, and than a quarter of the latency at the same percentile, are a part of it that counts. */
const LATE_US = 5000;
/** Running or waiting for a core for more of the time than this, a generator reads late. */
const STARVED_SHARE = 0.95;

/** What a load's result means for a case: verdict, figures, histograms. */
export function judge(
  one: Case,
  result: LoadResult,
): Omit<Measurement, "case" | "peer" | "round"> {
  const measured = result.groups[0]!;
  const latency = latencyOf(result, measured);
  const reasons: string[] = [];
  let verdict: Verdict = "ok";
  if (result.client_bound.length > 0) {
    reasons.push(...result.client_bound);
    verdict = "client-bound";
  }
  if (one.kind === "load" && isBehind(result)) {
    // A generator without a core sends and reads too little: then nothing is known of the server.
    verdict = isStarved(result, false) ? "client-bound" : "behind";
    reasons.push(
      `carried ${count(result.deliveries_per_second)} of ${count(result.offered_deliveries_per_second)} deliveries/s`,
    );
  }
  if (result.failures.length > 0 && !excused(result)) {
    verdict = "failed";
    reasons.push(...result.failures);
  }
  const figures = figuresOf(one, result);
  for (const key of PERCENTILES)
    if (latency[key] !== undefined) figures[`${key}_us`] = latency[key];
  const histograms: Record<string, string> = {
    connect: result.connect.encoded,
  };
  for (const group of result.groups) {
    if (group.latency.count === 0) continue;
    histograms[group.name] = group.latency.encoded;
    if (group.probe_latency.count > 0)
      histograms[`${group.name}, probes`] = group.probe_latency.encoded;
    if (one.nats !== null && group.across_latency.count > 0)
      histograms[`${group.name}, other node`] = group.across_latency.encoded;
    if (group.ack_latency.count > 0)
      histograms[`${group.name}, acks`] = group.ack_latency.encoded;
  }
  return { verdict, reasons, figures, histograms, load: countsOf(result) };
}

const PERCENTILES = ["p50", "p90", "p99", "p999", "max"] as const;
type Percentiles = Partial<Record<(typeof PERCENTILES)[number], number>>;

/**
 * The latency that may be told of a group: the probes' where there are any, nothing where the generator had no core to
 * read with, and no percentile that the generator's own late sends are a part of.
 * @param part instead of the latency to all members
 */
export function latencyOf(
  result: LoadResult,
  group: GroupResult,
  part?: Measured,
): Percentiles {
  const { latency, probe_latency, lateness } = group;
  const probed = probe_latency.count > 0;
  const used = part ?? (probed ? probe_latency : latency);
  if (used.count === 0 || isStarved(result, probed)) return {};
  const told: Percentiles = {};
  for (const key of PERCENTILES)
    if (lateness[key] <= Math.max(LATE_US, used[key] / 4))
      told[key] = used[key];
  return told;
}

function figuresOf(one: Case, result: LoadResult): Figures {
  const { server, connect, groups } = result;
  const figures: Figures = {
    connects_per_second: result.connections / connect.seconds,
    connect_p50_us: connect.p50,
    connect_p99_us: connect.p99,
  };
  if (result.offered_deliveries_per_second > 0)
    figures.delivered_per_second = result.deliveries_per_second;
  if (groups.some(({ stalled }) => stalled > 0))
    figures.stalled_closed = result.stalled_ended;
  const { ack_latency } = groups[0]!;
  if (ack_latency.count > 0 && result.client_bound.length === 0) {
    figures.ack_p50_us = ack_latency.p50;
    figures.ack_p99_us = ack_latency.p99;
  }
  if (groups[1] !== undefined) {
    const { p50, p99 } = latencyOf(result, groups[1]);
    if (p50 !== undefined) figures.beside_p50_us = p50;
    if (p99 !== undefined) figures.beside_p99_us = p99;
  }
  if (one.nats !== null) Object.assign(figures, clusterFigures(one, result));
  if (server !== null) {
    const share =
      result.deliveries_per_second / result.offered_deliveries_per_second;
    if (share >= LEAST_SHARE)
      figures.cpu_us_per_delivery = server.cpu_us_per_delivery;
    figures.connect_cpu_us = server.connect_cpu_us_per_connection;
    figures.rss_bytes = server.rss_end_bytes;
    figures.peak_rss_bytes = server.peak_rss_bytes;
    // After a quiet moment: what connecting alone took is given back by then, as far as it ever is.
    if (one.kind === "connect")
      figures.bytes_per_connection =
        (server.rss_end_bytes - server.rss_before_bytes) / result.connections;
  }
  return figures;
}

/** What is of interest where servers act as one: what an event costs, and how far away its receivers are. */
function clusterFigures(one: Case, result: LoadResult): Figures {
  const { groups, server, beneath } = result;
  const events = groups.reduce(
    (sum, { delivered_in_window, members, stalled }) =>
      sum + delivered_in_window / (members - stalled),
    0,
  );
  const figures: Figures = {};
  if (server !== null)
    figures.cpu_us_per_event = (server.cpu_seconds * 1e6) / events;
  if (beneath !== null)
    figures.nats_us_per_event = (beneath.cpu_seconds * 1e6) / events;
  if (one.closed_loop > 0)
    figures.published_per_second = events / result.plan.seconds;
  const group = groups[0]!;
  const own = latencyOf(result, group, group.own_latency);
  if (own.p50 !== undefined) figures.own_p50_us = own.p50;
  if (own.p99 !== undefined) figures.own_p99_us = own.p99;
  const across = latencyOf(result, group, group.across_latency);
  if (across.p50 !== undefined) figures.across_p50_us = across.p50;
  if (across.p99 !== undefined) figures.across_p99_us = across.p99;
  return figures;
}

/** Whether a generator that reads as a probe, or not, ran or waited for a core nearly all the time. */
const isStarved = (result: LoadResult, probes: boolean): boolean =>
  result.generators.some(
    (one) =>
      one.probes === probes && one.cpu_share + one.waited_share > STARVED_SHARE,
  );

function isBehind(result: LoadResult): boolean {
  const p50 = Math.max(...result.groups.map(({ latency }) => latency.p50));
  const carried =
    result.deliveries_per_second >=
    CARRIED_SHARE * result.offered_deliveries_per_second;
  // A moment's delay at a short run's end misses as much: behind is who is late as well.
  return result.cut_off || p50 > UNBEARABLE_US || (!carried && p50 > QUEUE_US);
}

/** Being cut off is all that went wrong: that is `behind`, and nothing is known to be lost. */
const excused = (result: LoadResult): boolean =>
  result.cut_off && result.failures.every((text) => text.startsWith("cut off"));

function countsOf(result: LoadResult): LoadCounts {
  const { plan: _, groups: __, connect: ___, ...counts } = result;
  return counts;
}

const count = (value: number): string =>
  Math.round(value).toLocaleString("en-US");
