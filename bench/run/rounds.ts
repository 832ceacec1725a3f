import type { Peer } from "../peers/peer.ts";
import type { Case } from "./case.ts";
import type { measure } from "./measure.ts";
import type { RunOptions } from "./options.ts";
import { CARRIED_SHARE } from "./judge.ts";
import type { Measurement } from "./run-file.ts";
import { spread } from "./summary.ts";

/** Starting, connecting, draining and stopping take about this. */
const OVERHEAD_SECONDS = 2;
/** A ladder goes on above a rung that was carried to this share, and on which nothing else went wrong. */
const UNPROVEN_SHARE = 0.75;

export interface RoundsTell {
  /** A measurement begins; `done` of `total` are behind it. */
  began(one: Case, peer: Peer, done: number, total: number): void;
  progress(what: string): void;
  ended(measurement: Measurement): void;
}

export interface Rounds {
  measurements: Measurement[];
  notes: string[];
}

/** Whether a peer takes part in a case; the reason if not, "" for none that is told. Controls stand in for what they lack. */
export function unable(one: Case, peer: Peer): string | null {
  const named =
    one.peers?.includes(peer.name) ?? !(peer.nats || peer.onlyNamed);
  if (!named) return "";
  const isControl = one.control === peer.name;
  const otherControl = peer.name.startsWith("bare") && !isControl;
  if (otherControl) return "";
  const lacking = one.needs.filter((need) => !peer.abilities.includes(need));
  if (lacking.length === 0 || (isControl && one.kind === "load")) return null;
  return isControl ? "" : `has no ${lacking.join(", no ")}`;
}

/** What rounds need of the world; tests give their own. */
export interface RoundsWorld {
  measure: typeof measure;
  /** Seconds, from any begin. */
  now: () => number;
  stopped: () => boolean;
}

/**
 * Measures all cases of all peers, one at a time, round after round, so that a slow minute of the machine hits all of
 * them alike. What does not fit the budget, by what it took before, is left out.
 */
export async function runRounds(
  cases: Case[],
  peers: Peer[],
  options: Pick<RunOptions, "repeats" | "budget_seconds">,
  tell: RoundsTell,
  world: RoundsWorld,
): Promise<Rounds> {
  const { now } = world;
  const deadline = now() + options.budget_seconds;
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  const took = new Map<string, number>();
  const jobs = jobsOf(cases, peers, measurements);
  const total = jobs.length * options.repeats;
  let left_out = 0;
  rounds: for (let round = 0; round < options.repeats; round++)
    for (const [index, { one, peer }] of jobs.entries()) {
      const key = `${one.id} ${peer.name}`;
      if (now() + expected(one, key, took) > deadline) {
        left_out++;
        continue;
      }
      const reason = belowFailed(one, peer, measurements);
      if (reason !== null) {
        if (round === 0) measurements.push(notRun(one, peer, reason));
        continue;
      }
      tell.began(one, peer, round * jobs.length + index, total);
      const before = now();
      const measurement = await world.measure(one, peer, round, (what) =>
        tell.progress(what),
      );
      // An interrupted one is no measurement: its server was killed.
      if (world.stopped()) {
        notes.push("interrupted");
        break rounds;
      }
      took.set(key, Math.max(took.get(key) ?? 0, now() - before));
      measurements.push(measurement);
      tell.ended(measurement);
    }
  if (left_out > 0)
    notes.push(
      `${left_out} of ${total} measurements did not fit into ${options.budget_seconds} s (--budget); ` +
        "rows say how many repeats they have",
    );
  const others = usedByOthers(measurements);
  if (others !== null)
    notes.push(
      `other programs used ${Math.round(others * 100)} % of the machine (median over the measurements)`,
    );
  return { measurements, notes };
}

/** Share of all cores that neither server nor generators used, but somebody did; null where nothing tells. */
function usedByOthers(measurements: Measurement[]): number | null {
  const shares = measurements.flatMap(({ load }) => {
    if (load === null || load.server === null) return [];
    const ours = load.generators.reduce(
      (sum, { process_cpu_share }) => sum + process_cpu_share,
      load.server.cpu_share + (load.beneath?.cpu_share ?? 0),
    );
    return [Math.max(0, load.machine_busy_share - ours / load.machine.cpus)];
  });
  return shares.length === 0 ? null : spread(shares).median;
}

/** Seconds that a measurement may take: as long as before, or as long as its case's longest so far. */
function expected(one: Case, key: string, took: Map<string, number>): number {
  const before = took.get(key);
  if (before !== undefined) return before;
  const others = [...took].flatMap(([other, seconds]) =>
    other.startsWith(`${one.id} `) ? [seconds] : [],
  );
  return Math.max(
    one.warmup_seconds + one.seconds + OVERHEAD_SECONDS,
    ...others,
  );
}

/** What takes part; what cannot is recorded with its reason. */
function jobsOf(cases: Case[], peers: Peer[], measurements: Measurement[]) {
  const jobs: { one: Case; peer: Peer }[] = [];
  for (const one of cases)
    for (const peer of peers) {
      const reason = unable(one, peer);
      if (reason === null) jobs.push({ one, peer });
      else if (reason !== "") measurements.push(notRun(one, peer, reason));
    }
  return jobs;
}

/** A ladder goes on only above a rung that was carried, in any round so far. */
function belowFailed(
  one: Case,
  peer: Peer,
  measurements: Measurement[],
): string | null {
  if (one.after === null) return null;
  const below = measurements.filter(
    (other) => other.case === one.after && other.peer === peer.name,
  );
  // Asked for alone, a rung stands on the ground.
  if (below.length === 0) return null;
  // On a busy machine a rung may miss a little that is not the server's fault.
  const open = below.some(
    (one) => isWhole(one) && carriedShare(one) >= UNPROVEN_SHARE,
  );
  return open ? null : `${one.after} was not carried`;
}

const isWhole = ({ verdict }: Measurement): boolean =>
  verdict === "ok" || verdict === "client-bound";

/** Nothing lost, and nearly all of what was offered arrived in time, whatever the latency. */
export const wasCarried = (one: Measurement): boolean =>
  isWhole(one) && carriedShare(one) >= CARRIED_SHARE;

/** Delivered in time of what was offered; 1 where no load was measured. */
const carriedShare = ({ figures, load }: Measurement): number =>
  load === null || load.offered_deliveries_per_second === 0
    ? 1
    : (figures.delivered_per_second ?? 0) / load.offered_deliveries_per_second;

const notRun = (one: Case, peer: Peer, reason: string): Measurement => ({
  case: one.id,
  peer: peer.name,
  round: 0,
  verdict: "not-run",
  reasons: [reason],
  figures: {},
  histograms: {},
  load: null,
});
