import type { GroupPlan } from "../load/plan.ts";
import type { Ability } from "../peers/peer.ts";
import type { FigureKey } from "./figures.ts";

export type Format = "json" | "msgpack";

/** The smallest run that a case belongs to: `--quick` ⊂ the default ⊂ `--full`. */
export type Tier = "quick" | "default" | "full";
export const TIERS: readonly Tier[] = ["quick", "default", "full"];

export type Kind = "load" | "connect" | "resume" | "drain" | "crash";

/** Connections of one sort in a case; what is left out follows the rules of `groupPlan`. */
export interface GroupShape {
  name: string;
  rooms: number;
  members: number;
  /** Messages per second and room. */
  rate: number;
  senders?: number;
  probes?: number;
  stalled?: number;
}

export interface Case {
  /** scenario/variant; the scenario's name alone if it has one case. */
  id: string;
  scenario: string;
  title: string;
  kind: Kind;
  tier: Tier;
  /** The peer whose figures the ratios are made of. */
  control:
    "bare" | "bare-json" | "jetstream" | "roomcast" | "roomcast-uncounted";
  /** Names of the only peers that take part; null for all that can. */
  peers: readonly string[] | null;
  /** What a peer needs to take part. */
  needs: Ability[];
  /** The first group's latency is the case's; a second group's is told beside it. */
  groups: GroupShape[];
  formats: Format[];
  text_bytes: number;
  warmup_seconds: number;
  seconds: number;
  /** In flight per generator process. */
  connect_concurrency: number;
  /** The case that must have been carried before this one is tried: a ladder. */
  after: string | null;
  /** Events that are stored before the server starts, over the first group's rooms. */
  stored_events: number;
  /** How history is kept by peers that are about NATS; replicas are also the number of its servers. */
  nats: { streams: number; replicas: number } | null;
  /** Messages that each sender keeps in flight, instead of sending by a schedule; 0 for the schedule. */
  closed_loop: number;
  /** Further flags, for roomcast only. */
  flags: string[];
  /** SIGKILLs of a crash case. */
  kills: number;
  columns: FigureKey[];
}

export interface Scenario {
  name: string;
  about: string;
  cases: Case[];
}

/** Cases of a run: those of a tier, or those that `only` names (a scenario or a case), whatever their tier. */
export function chooseCases(
  all: Scenario[],
  tier: Tier,
  only: string[],
): Case[] {
  const cases = all.flatMap((one) => one.cases);
  if (only.length === 0)
    return cases.filter(
      (one) => TIERS.indexOf(one.tier) <= TIERS.indexOf(tier),
    );
  for (const name of only)
    if (!cases.some((one) => one.id === name || one.scenario === name))
      throw new Error(
        `no scenario ${name}; there are ${all.map((one) => one.name).join(", ")}`,
      );
  return cases.filter(
    (one) => only.includes(one.id) || only.includes(one.scenario),
  );
}

const PROBED_MEMBERS = 500;
const PROBES = 50;
const SENDERS = 10;

/** A group as the load generator takes it: up to 10 senders, and probes in large rooms that are spoken in. */
export function groupPlan(
  shape: GroupShape,
  index: number,
  prefix: string,
): GroupPlan {
  const stalled = shape.stalled ?? 0;
  return {
    ...shape,
    stalled,
    senders: shape.senders ?? Math.min(SENDERS, shape.members - stalled),
    probes:
      shape.probes ??
      (shape.members >= PROBED_MEMBERS && shape.rate > 0 ? PROBES : 0),
    room_prefix: `${prefix}${index}-`,
  };
}
