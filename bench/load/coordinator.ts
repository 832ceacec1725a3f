import { cpus, release } from "node:os";
import { RunClock } from "./clock.ts";
import { GeneratorProcess } from "./generator-process.ts";
import {
  checkPlan,
  connectionCount,
  layOut,
  type LoadPlan,
  offered,
  processCount,
} from "./plan.ts";
import { openFileLimit } from "./process-stats.ts";
import {
  clientBoundBy,
  failuresOf,
  type LoadResult,
  mergeReports,
} from "./result.ts";
import { checkTemplate } from "./templates.ts";
import {
  beneathUse,
  busyShare,
  serverUse,
  type Usage,
  usageAt,
} from "./usage.ts";

/** From "all are told" to the first send. */
const START_DELAY_MS = 300;
/** After the last join, before memory is read. */
const SETTLE_MS = 500;
/** So that probes and others join in turns: servers may deliver in the order of joining. */
const PROBED_ROUNDS = 20;
/** Files of a generator process that are not its sockets. */
const OWN_FILES = 100;

export interface Progress {
  phase: "connecting" | "warming up" | "measuring" | "draining";
  connected: number;
  sent: number;
  delivered: number;
}

export interface RunOptions {
  plan: LoadPlan;
  /** The servers' processes; empty if they are not on this machine. */
  pids: number[];
  /** Processes that these stand on, such as NATS. */
  beneath?: number[];
  onProgress?: (progress: Progress) => void;
}

/** Processes that each group of a plan needs at least, by the limit of open files. */
export function processesNeeded(plan: LoadPlan): number {
  const largest = Math.max(
    ...plan.groups.map(({ rooms, members }) => rooms * members),
  );
  return Math.ceil(largest / (openFileLimit("self") - OWN_FILES));
}

/**
 * Runs a plan: connects, warms up, measures, drains, counts. Throws an Error if the plan is impossible, a connection
 * fails or a generator breaks; a server that loses messages is a result with `failures`, not an error.
 */
export async function runLoad({
  plan,
  pids,
  beneath = [],
  onProgress,
}: RunOptions): Promise<LoadResult> {
  checkPlan(plan);
  for (const template of plan.templates)
    checkTemplate(template, plan.text_bytes);
  const clock = new RunClock(plan.base_ms);
  const usage = (): Usage => usageAt(clock.now(), { pids, beneath });
  let phase: Progress["phase"] = "connecting";
  const generators: GeneratorProcess[] = [];
  const reportProgress = (): void => {
    const sum: Progress = { phase, connected: 0, sent: 0, delivered: 0 };
    for (const { progress } of generators) {
      sum.connected += progress.connected;
      sum.sent += progress.sent;
      sum.delivered += progress.delivered;
    }
    onProgress?.(sum);
  };
  const ticker = setInterval(reportProgress, 1000);
  try {
    const started_at = new Date().toISOString();
    for (let i = 0; i < processCount(plan); i++)
      generators.push(new GeneratorProcess(plan, i));
    await Promise.all(generators.map((generator) => generator.next("ready")));
    const before = usage();
    const probed = plan.groups.some(({ probes }) => probes > 0);
    await connect(generators, probed ? PROBED_ROUNDS : 1);
    const connect_seconds = (clock.now() - before.at_us) / 1e6;
    await Bun.sleep(SETTLE_MS);
    const connected = usage();

    const start_us = Math.ceil(clock.now() + START_DELAY_MS * 1000);
    const measure_us = start_us + plan.warmup_seconds * 1e6;
    const end_us = measure_us + plan.seconds * 1e6;
    phase = "warming up";
    for (const generator of generators)
      generator.tell({ type: "start", start_us, measure_us, end_us });
    await until(clock, measure_us);
    const first = usage();
    phase = "measuring";
    await until(clock, end_us);
    const last = usage();
    phase = "draining";
    const sent: number[] = new Array<number>(streamCount(plan)).fill(0);
    for (const { counts } of await Promise.all(
      generators.map((generator) => generator.next("sent")),
    ))
      for (const [stream, count] of counts) sent[stream] = count;
    for (const generator of generators) generator.tell({ type: "drain", sent });
    const reports = await Promise.all(
      generators.map((generator) => generator.next("report")),
    );
    const merged = mergeReports(
      plan,
      reports.map(({ report }) => report),
    );

    const moments = { before, connected, first, last, end: usage() };
    const connections = connectionCount(plan);
    return {
      version: 1,
      started_at,
      plan,
      machine: {
        cpus: cpus().length,
        model: cpus()[0]?.model ?? "unknown",
        kernel: release(),
        bun: Bun.version,
      },
      connections,
      ...merged,
      deliveries_per_second: merged.total.delivered_in_window / plan.seconds,
      offered_deliveries_per_second: offered(plan).deliveries,
      connect: { ...merged.connect, seconds: connect_seconds },
      server: serverUse(pids, moments, {
        deliveries: merged.total.delivered_in_window,
        connections,
      }),
      beneath: beneathUse(beneath, moments),
      machine_busy_share: busyShare(moments),
      failures: failuresOf(plan, merged),
      client_bound: clientBoundBy(merged),
    };
  } finally {
    clearInterval(ticker);
    await Promise.all(generators.map((generator) => generator.stop()));
  }
}

async function connect(
  generators: GeneratorProcess[],
  rounds: number,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const generator of generators)
      generator.tell({ type: "connect", round, rounds });
    let failed = 0;
    const reasons = new Map<string, number>();
    for (const answer of await Promise.all(
      generators.map((generator) => generator.next("connected")),
    )) {
      failed += answer.failed;
      for (const [reason, count] of Object.entries(answer.reasons))
        reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    }
    if (failed === 0) continue;
    const list = [...reasons]
      .map(([reason, count]) => `  ${count} × ${reason}`)
      .join("\n");
    throw new Error(`${failed} connections failed:\n${list}`);
  }
}

async function until(clock: RunClock, time_us: number): Promise<void> {
  await Bun.sleep(Math.max(0, (time_us - clock.now()) / 1000));
}

function streamCount(plan: LoadPlan): number {
  return layOut(plan).reduce(
    (sum, group) => sum + group.rooms * group.senders,
    0,
  );
}
