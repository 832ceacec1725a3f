import type { GeneratorReport, GroupReport } from "./messages.ts";
import {
  encodeHistogram,
  mergeHistograms,
  type Quantiles,
  quantiles,
} from "./histogram.ts";
import { layOut, type LoadPlan, scheduled } from "./plan.ts";

/** A generator whose socket thread is busier than this is the bottleneck. */
const BOUND_CPU_SHARE = 0.9;
/** The same, counting the time it waited for a core. */
const BOUND_CPU_AND_WAITED_SHARE = 0.95;
/** Sends this late at the 99th percentile, and later than a quarter of the median latency, are the generator's fault. */
const BOUND_LATENESS_US = 5000;
/** Latency of all members this much above the probes', and by this factor, is the generator's own queue. */
const BOUND_QUEUE_US = 2000;
const BOUND_QUEUE_FACTOR = 1.5;

export interface Measured extends Quantiles {
  /** The whole histogram (HdrHistogram V2, compressed, base64). */
  encoded: string;
}

export type GroupCounts = Omit<
  GroupReport,
  "latency" | "across_latency" | "ack_latency" | "lateness"
>;

export interface GroupResult extends GroupCounts {
  name: string;
  rooms: number;
  members: number;
  senders: number;
  stalled: number;
  /** Messages per second and room. */
  rate: number;
  /** From the intended send time, over all members. */
  latency: Measured;
  /** The same over the probes alone, which the generator's own queue does not touch. */
  probe_latency: Measured;
  /** To members on the sender's own server and on another one; the probes' where there are any. */
  own_latency: Measured;
  across_latency: Measured;
  ack_latency: Measured;
  lateness: Measured;
}

/** Of some processes. Times are of the measured window. */
export interface ProcessUse {
  pids: number[];
  cpu_seconds: number;
  /** Of one core; above 1 for those that use several. */
  cpu_share: number;
  rss_before_bytes: number;
  rss_end_bytes: number;
}

/** Of the server's processes. */
export interface ServerUse extends ProcessUse {
  cpu_us_per_delivery: number;
  /** From before the first connection to half a second after the last. */
  connect_cpu_us_per_connection: number;
  rss_connected_bytes: number;
  peak_rss_bytes: number;
  bytes_per_connection: number;
  threads: number;
}

export interface GeneratorUse {
  /** Whether it runs probes. */
  probes: boolean;
  /** Of the measured time, of the thread that runs the sockets. */
  cpu_share: number;
  waited_share: number;
  process_cpu_share: number;
}

export interface LoadResult {
  version: 1;
  started_at: string;
  plan: LoadPlan;
  machine: { cpus: number; model: string; kernel: string; bun: string };
  connections: number;
  groups: GroupResult[];
  /** All groups together. */
  total: GroupCounts;
  /** Per second of the measured window. */
  deliveries_per_second: number;
  offered_deliveries_per_second: number;
  connect: Measured & { seconds: number };
  /** Null where no pid was given. */
  server: ServerUse | null;
  /** What the servers stand on, such as NATS; null where there is none. */
  beneath: ProcessUse | null;
  generators: GeneratorUse[];
  /** Of all cores, 0 to 1, in the measured window. */
  machine_busy_share: number;
  ended: Record<string, number>;
  stalled_ended: number;
  errors: { count: number; samples: string[] };
  other_frames: number;
  /** True if deliveries were still arriving when the wait ended: the server fell behind. */
  cut_off: boolean;
  /** Why the run does not count: empty if it does. */
  failures: string[];
  /** Why its latencies do not count: empty if they do. */
  client_bound: string[];
}

/** Merges the processes' reports: counts and histograms, by group and in all. */
export function mergeReports(plan: LoadPlan, reports: GeneratorReport[]) {
  const groups = layOut(plan).map((group, index): GroupResult => {
    const parts = reports.map((report) => report.groups[index]!);
    const probes = reports
      .filter(({ process }) => process === group.probe_process)
      .map((report) => report.groups[index]!);
    const told = probes.length > 0 ? probes : parts;
    return {
      name: group.name,
      rooms: group.rooms,
      members: group.members,
      senders: group.senders,
      stalled: group.stalled,
      rate: group.rate,
      ...addCounts(parts),
      latency: measured(parts.flatMap(allLatency)),
      probe_latency: measured(probes.flatMap(allLatency)),
      own_latency: measured(told.map((part) => part.latency)),
      across_latency: measured(told.map((part) => part.across_latency)),
      ack_latency: measured(parts.map((part) => part.ack_latency)),
      lateness: measured(parts.map((part) => part.lateness)),
    };
  });
  const probing = new Set(
    layOut(plan).map(({ probe_process }) => probe_process),
  );
  const ended: Record<string, number> = {};
  for (const report of reports)
    for (const [reason, count] of Object.entries(report.ended))
      ended[reason] = (ended[reason] ?? 0) + count;
  return {
    groups,
    total: addCounts(groups),
    connect: measured(reports.map((report) => report.connect)),
    generators: reports.map(
      ({ process, cpu_share, waited_share, process_cpu_share }) => ({
        probes: probing.has(process),
        cpu_share,
        waited_share,
        process_cpu_share,
      }),
    ),
    ended,
    stalled_ended: reports.reduce(
      (sum, report) => sum + report.stalled_ended,
      0,
    ),
    errors: {
      count: reports.reduce((sum, report) => sum + report.errors.count, 0),
      samples: reports.flatMap((report) => report.errors.samples).slice(0, 5),
    },
    other_frames: reports.reduce((sum, report) => sum + report.other_frames, 0),
    cut_off: reports.some((report) => report.cut_off),
  };
}

type Merged = ReturnType<typeof mergeReports>;

/** Why a run does not count, in sentences. */
export function failuresOf(plan: LoadPlan, merged: Merged): string[] {
  const failures: string[] = [];
  const { total } = merged;
  const say = (count: number, what: string): void => {
    if (count > 0) failures.push(`${count} ${what}`);
  };
  if (plan.closed_loop === 0)
    for (const [index, group] of plan.groups.entries()) {
      const { sent, unsent } = merged.groups[index]!;
      // One more or less is rounding.
      const missing = Math.abs(scheduled(plan, group) - sent - unsent);
      if (missing > 1)
        failures.push(
          `group ${group.name}: the schedule and the messages sent differ by ${missing}`,
        );
    }
  if (merged.cut_off)
    failures.push(
      `cut off while ${total.lost} deliveries were still on their way`,
    );
  else say(total.lost, "deliveries lost");
  say(total.lost_on_ended, "deliveries lost on connections that ended");
  say(total.doubled, "deliveries doubled");
  say(total.reordered, "deliveries reordered");
  say(total.misdelivered, "messages or acks delivered to the wrong connection");
  say(total.unsent, "messages not sent, because their connection had ended");
  if (!merged.cut_off) say(total.acks_lost, "acks lost");
  say(total.acks_doubled, "acks doubled");
  for (const [reason, count] of Object.entries(merged.ended))
    say(count, `connections ended: ${reason}`);
  say(
    merged.errors.count,
    `error frames, such as ${merged.errors.samples[0] ?? ""}`,
  );
  return failures;
}

/** Why the generator, not the server, was measured; empty if it was the server. */
export function clientBoundBy(merged: Merged): string[] {
  const reasons: string[] = [];
  for (const [
    index,
    { cpu_share, waited_share },
  ] of merged.generators.entries())
    if (
      cpu_share > BOUND_CPU_SHARE ||
      cpu_share + waited_share > BOUND_CPU_AND_WAITED_SHARE
    )
      reasons.push(
        `generator ${index}: its thread ran ${percent(cpu_share)} and waited for a core ${percent(waited_share)} ` +
          "of the time",
      );
  for (const {
    name,
    lateness,
    latency,
    probe_latency: probe,
  } of merged.groups) {
    if (lateness.p99 > Math.max(BOUND_LATENESS_US, latency.p50 / 4))
      reasons.push(
        `group ${name}: sends were ${(lateness.p99 / 1000).toFixed(1)} ms late at p99`,
      );
    if (
      probe.count > 0 &&
      latency.p50 > probe.p50 * BOUND_QUEUE_FACTOR + BOUND_QUEUE_US
    )
      reasons.push(
        `group ${name}: the generator read late, p50 ${(latency.p50 / 1000).toFixed(1)} ms against ` +
          `${(probe.p50 / 1000).toFixed(1)} ms of the probes`,
      );
  }
  return reasons;
}

const allLatency = ({ latency, across_latency }: GroupReport): string[] => [
  latency,
  across_latency,
];

const percent = (share: number): string => `${Math.round(share * 100)} %`;

function measured(encoded: string[]): Measured {
  const merged = mergeHistograms(encoded);
  return { ...quantiles(merged), encoded: encodeHistogram(merged) };
}

function addCounts(parts: GroupCounts[]): GroupCounts {
  const sum: GroupCounts = {
    sent: 0,
    unsent: 0,
    expected: 0,
    delivered: 0,
    delivered_in_window: 0,
    lost: 0,
    lost_on_ended: 0,
    doubled: 0,
    reordered: 0,
    misdelivered: 0,
    acks_expected: 0,
    acks: 0,
    acks_lost: 0,
    acks_doubled: 0,
  };
  const keys = Object.keys(sum) as (keyof GroupCounts)[];
  for (const part of parts) for (const key of keys) sum[key] += part[key];
  return sum;
}
