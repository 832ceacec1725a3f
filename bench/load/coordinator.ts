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
import {
  openFileLimit,
  sampleMachine,
  sampleProcesses,
} from "./process-stats.ts";
import {
  clientBoundBy,
  failuresOf,
  type LoadResult,
  mergeReports,
  type ServerUse,
} from "./result.ts";
import { checkTemplate } from "./templates.ts";

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
  /** The server's processes; empty if they are not on this machine. */
  pids: number[];
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
  onProgress,
}: RunOptions): Promise<LoadResult> {
  checkPlan(plan);
  for (const template of plan.templates)
    checkTemplate(template, plan.text_bytes);
  const clock = new RunClock(plan.base_ms);
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
    const before = pids.length > 0 ? sampleProcesses(pids) : null;
    const connecting_us = clock.now();
    const probed = plan.groups.some(({ probes }) => probes > 0);
    await connect(generators, probed ? PROBED_ROUNDS : 1);
    const connect_seconds = (clock.now() - connecting_us) / 1e6;
    await Bun.sleep(SETTLE_MS);
    const connected = pids.length > 0 ? sampleProcesses(pids) : null;

    const start_us = Math.ceil(clock.now() + START_DELAY_MS * 1000);
    const measure_us = start_us + plan.warmup_seconds * 1e6;
    const end_us = measure_us + plan.seconds * 1e6;
    phase = "warming up";
    for (const generator of generators)
      generator.tell({ type: "start", start_us, measure_us, end_us });
    const first = await sampleAt(clock, measure_us, pids);
    phase = "measuring";
    const last = await sampleAt(clock, end_us, pids);
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

    const seconds = (last.at_us - first.at_us) / 1e6;
    const connections = connectionCount(plan);
    let server: ServerUse | null = null;
    if (
      before !== null &&
      connected !== null &&
      first.server !== null &&
      last.server !== null
    ) {
      const end = sampleProcesses(pids);
      const cpu_seconds = (last.server.cpu_ms - first.server.cpu_ms) / 1000;
      server = {
        pids,
        cpu_seconds,
        cpu_share: cpu_seconds / seconds,
        cpu_us_per_delivery:
          (cpu_seconds * 1e6) / merged.total.delivered_in_window,
        connect_cpu_us_per_connection:
          ((connected.cpu_ms - before.cpu_ms) * 1000) / connections,
        rss_before_bytes: before.rss_bytes,
        rss_connected_bytes: connected.rss_bytes,
        rss_end_bytes: end.rss_bytes,
        peak_rss_bytes: end.peak_rss_bytes,
        bytes_per_connection:
          (connected.rss_bytes - before.rss_bytes) / connections,
        threads: end.threads,
      };
    }
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
      server,
      machine_busy_share:
        (last.machine.busy_ms - first.machine.busy_ms) /
        (last.machine.total_ms - first.machine.total_ms),
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

async function sampleAt(clock: RunClock, time_us: number, pids: number[]) {
  await Bun.sleep(Math.max(0, (time_us - clock.now()) / 1000));
  return {
    at_us: clock.now(),
    server: pids.length > 0 ? sampleProcesses(pids) : null,
    machine: sampleMachine(),
  };
}

function streamCount(plan: LoadPlan): number {
  return layOut(plan).reduce(
    (sum, group) => sum + group.rooms * group.senders,
    0,
  );
}
