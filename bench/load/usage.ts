import {
  type ProcessSample,
  sampleMachine,
  sampleProcesses,
} from "./process-stats.ts";
import type { ProcessUse, ServerUse } from "./result.ts";

/** Processes that a run watches; none of a sort where there are none on this machine. */
export interface Watched {
  /** The servers that the load is for. */
  pids: number[];
  /** What these stand on, such as NATS. */
  beneath: number[];
}

/** What was used up to a moment of a run. */
export interface Usage {
  at_us: number;
  servers: ProcessSample;
  beneath: ProcessSample;
  machine: { busy_ms: number; total_ms: number };
}

export const usageAt = (at_us: number, watched: Watched): Usage => ({
  at_us,
  servers: sampleProcesses(watched.pids),
  beneath: sampleProcesses(watched.beneath),
  machine: sampleMachine(),
});

/** The moments of a run, in their order. */
export interface Moments {
  before: Usage;
  connected: Usage;
  /** Begin and end of the measured time. */
  first: Usage;
  last: Usage;
  end: Usage;
}

/** Of all cores, 0 to 1, in the measured time. */
export const busyShare = ({ first, last }: Moments): number =>
  (last.machine.busy_ms - first.machine.busy_ms) /
  (last.machine.total_ms - first.machine.total_ms);

/** What the processes beneath used; null where there are none. */
export function beneathUse(
  pids: number[],
  moments: Moments,
): ProcessUse | null {
  return pids.length === 0 ? null : useOf(pids, moments, "beneath");
}

/** What the servers used; null where no pid is known. @param counts deliveries in the measured time, and connections */
export function serverUse(
  pids: number[],
  moments: Moments,
  counts: { deliveries: number; connections: number },
): ServerUse | null {
  if (pids.length === 0) return null;
  const use = useOf(pids, moments, "servers");
  const before = moments.before.servers;
  const connected = moments.connected.servers;
  const end = moments.end.servers;
  return {
    ...use,
    cpu_us_per_delivery: (use.cpu_seconds * 1e6) / counts.deliveries,
    connect_cpu_us_per_connection:
      ((connected.cpu_ms - before.cpu_ms) * 1000) / counts.connections,
    rss_connected_bytes: connected.rss_bytes,
    peak_rss_bytes: end.peak_rss_bytes,
    bytes_per_connection:
      (connected.rss_bytes - before.rss_bytes) / counts.connections,
    threads: end.threads,
  };
}

function useOf(
  pids: number[],
  { before, first, last, end }: Moments,
  sort: "servers" | "beneath",
): ProcessUse {
  const seconds = (last.at_us - first.at_us) / 1e6;
  const cpu_seconds = (last[sort].cpu_ms - first[sort].cpu_ms) / 1000;
  return {
    pids,
    cpu_seconds,
    cpu_share: cpu_seconds / seconds,
    rss_before_bytes: before[sort].rss_bytes,
    rss_end_bytes: end[sort].rss_bytes,
  };
}
