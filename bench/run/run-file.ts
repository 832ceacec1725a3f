import type { LoadResult } from "../load/result.ts";
import type { Figures } from "./figures.ts";

/** A run's result as it lies in `bench/results/`: all that tables, comparison and report are made of. */
export interface RunFile {
  version: 1;
  started_at: string;
  seconds: number;
  /** The options as given. */
  command: string;
  commit: string;
  machine: Machine;
  peers: PeerEntry[];
  cases: CaseEntry[];
  measurements: Measurement[];
  /** What was left out, in sentences. */
  notes: string[];
}

export interface Machine {
  cpus: number;
  model: string;
  memory_bytes: number;
  kernel: string;
  bun: string;
  node: string | null;
  open_files: number;
}

export interface PeerEntry {
  name: string;
  title: string;
  does: string;
  version: string;
  /** Why it was not measured at all; null if it was. */
  missing: string | null;
}

export interface CaseEntry {
  id: string;
  scenario: string;
  title: string;
  control: string;
  columns: string[];
  /** Deliveries per second that the load asks for; 0 without a load. */
  offered: number;
}

/**
 * `ok`: nothing lost, and the latency counts. `client-bound`: nothing lost, but only the figures that do not depend on
 * the generator are kept. `behind`: the server did not keep up with what was offered. `failed`: it lost, doubled,
 * reordered, refused or broke something. `not-run`: the peer cannot, or a ladder ended below.
 */
export type Verdict = "ok" | "client-bound" | "behind" | "failed" | "not-run";

export interface Measurement {
  case: string;
  peer: string;
  round: number;
  verdict: Verdict;
  /** Why it is not `ok`, in sentences. */
  reasons: string[];
  figures: Figures;
  /** Raw histograms by name, in µs (HdrHistogram V2, compressed, base64). */
  histograms: Record<string, string>;
  /** All counts of the load generator, without its histograms; null where another client measured. */
  load: LoadCounts | null;
}

export type LoadCounts = Omit<LoadResult, "plan" | "groups" | "connect">;

/** @throws Error the file is not a run of this version */
export async function readRunFile(path: string): Promise<RunFile> {
  let run: Partial<RunFile>;
  try {
    run = (await Bun.file(path).json()) as Partial<RunFile>;
  } catch (error) {
    throw new Error(`${path} cannot be read: ${(error as Error).message}`);
  }
  if (run.version !== 1 || !Array.isArray(run.measurements))
    throw new Error(`${path} is not a result of this benchmark`);
  return run as RunFile;
}
