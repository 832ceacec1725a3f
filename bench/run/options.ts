import { parseArgs } from "node:util";
import type { Tier } from "./case.ts";

export interface RunOptions {
  tier: Tier;
  /** Scenarios or cases; empty for all of the tier. */
  only: string[];
  /** Names of peers; empty for all. */
  peers: string[];
  repeats: number;
  /** Rounds after the first are started only as long as they fit into this. */
  budget_seconds: number;
  /** Folder of results. */
  out: string;
}

export type Command =
  | { type: "run"; options: RunOptions }
  | { type: "list" }
  | { type: "help" }
  | { type: "compare"; before: string; after: string }
  | { type: "report"; file: string };

export const HELP = `bun run bench [options]: measure roomcast beside its peers, on this machine

What to run
  (nothing)             fanout, rooms-small, noisy-neighbour and idle against all peers, within five minutes
  --quick               the smallest case of each kind, within one minute: a look, not a figure
  --full                every scenario; takes most of an hour
  --only NAME[,NAME]    these scenarios or cases, whatever their size
  --peers NAME[,NAME]   only these (controls are kept: the ratios need them)
  --repeats N           rounds (default 3; 1 with --quick)
  --budget SECONDS      start no further round than fits (default 285; 55 with --quick; none with --full and --only)
  --out DIR             where results go (default bench/results)
  --list                scenarios, cases and peers

What to do with results
  --compare A.json B.json   what changed from A to B
  --report A.json           writes A.html again
  --help

Each run prints a table and writes a JSON file and an HTML report. The exit code is 1 if anything was lost, doubled,
reordered, refused or broken, 2 if the run could not be made. bench/README.md says how to read a row.
`;

/** @throws Error that names the first wrong option */
export function parseRunOptions(args: string[]): Command {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: "boolean" },
      full: { type: "boolean" },
      only: { type: "string", multiple: true },
      peers: { type: "string" },
      repeats: { type: "string" },
      budget: { type: "string" },
      out: { type: "string" },
      list: { type: "boolean" },
      compare: { type: "string" },
      report: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return { type: "help" };
  if (values.list) return { type: "list" };
  if (values.compare !== undefined) {
    if (positionals.length !== 1)
      throw new Error("--compare needs two files: --compare A.json B.json");
    return { type: "compare", before: values.compare, after: positionals[0]! };
  }
  if (positionals.length > 0)
    throw new Error(`cannot read "${positionals[0]}"; is it --only NAME?`);
  if (values.report !== undefined)
    return { type: "report", file: values.report };
  if (values.quick && values.full)
    throw new Error("--quick and --full exclude each other");
  const tier: Tier = values.quick ? "quick" : values.full ? "full" : "default";
  const only = names(values.only?.join(","));
  const unbounded = tier === "full" || (only.length > 0 && tier !== "quick");
  return {
    type: "run",
    options: {
      tier,
      only,
      peers: names(values.peers),
      repeats: atLeastOne(
        "--repeats",
        values.repeats,
        tier === "quick" ? 1 : 3,
      ),
      budget_seconds: atLeastOne(
        "--budget",
        values.budget,
        unbounded ? Number.POSITIVE_INFINITY : tier === "quick" ? 55 : 285,
      ),
      out: values.out ?? new URL("../results", import.meta.url).pathname,
    },
  };
}

const names = (text: string | undefined): string[] =>
  (text ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

function atLeastOne(
  option: string,
  text: string | undefined,
  fallback: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${option}: not a whole number above 0: ${text}`);
  return value;
}
