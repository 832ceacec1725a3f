import { readdirSync, readFileSync } from "node:fs";

/** Linux reports CPU time to user space in ticks of 10 ms on every architecture. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;

export interface ProcessSample {
  /** CPU time of all threads so far, user and system, in ms; resolution 10 ms. */
  cpu_ms: number;
  /** Resident memory in bytes; the kernel's socket buffers are not part of it. */
  rss_bytes: number;
  /** Highest resident memory so far. */
  peak_rss_bytes: number;
  threads: number;
}

/** Reads one process from /proc. Throws if it is gone. */
export function sampleProcess(pid: number): ProcessSample {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold spaces: count fields after the last ")".
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpu_ms: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    rss_bytes:
      Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) *
      PAGE_BYTES,
    peak_rss_bytes: Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024,
    threads: Number(fields[17]),
  };
}

/** Sums several processes (a server may have more than one). */
export function sampleProcesses(pids: number[]): ProcessSample {
  const sum: ProcessSample = {
    cpu_ms: 0,
    rss_bytes: 0,
    peak_rss_bytes: 0,
    threads: 0,
  };
  for (const pid of pids) {
    const one = sampleProcess(pid);
    sum.cpu_ms += one.cpu_ms;
    sum.rss_bytes += one.rss_bytes;
    sum.peak_rss_bytes += one.peak_rss_bytes;
    sum.threads += one.threads;
  }
  return sum;
}

/** CPU time of one thread and the time it waited for a core although it could run, in ms. */
export function sampleThread(
  pid: number,
  tid: number,
): { cpu_ms: number; waited_ms: number } {
  const [cpu, waited] = readFileSync(
    `/proc/${pid}/task/${tid}/schedstat`,
    "utf8",
  ).split(" ");
  return { cpu_ms: Number(cpu) / 1e6, waited_ms: Number(waited) / 1e6 };
}

/** Busy and total time of all cores so far, in ms. Busy includes time stolen by the hypervisor. */
export function sampleMachine(): { busy_ms: number; total_ms: number } {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!;
  const [user, nice, system, idle, iowait, irq, softirq, steal] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const busy = user! + nice! + system! + irq! + softirq! + steal!;
  return {
    busy_ms: busy * TICK_MS,
    total_ms: (busy + idle! + iowait!) * TICK_MS,
  };
}

/** The soft limit of open files of a process ("self" or a pid). */
export function openFileLimit(pid: number | "self"): number {
  const soft = /^Max open files\s+(\S+)/m.exec(
    readFileSync(`/proc/${pid}/limits`, "utf8"),
  )?.[1];
  return soft === undefined || soft === "unlimited"
    ? Number.POSITIVE_INFINITY
    : Number(soft);
}

/** How many files a process has open; 0 if that may not be read. */
export function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
