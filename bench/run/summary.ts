import type { FigureKey } from "./figures.ts";
import type { Measurement, RunFile, Verdict } from "./run-file.ts";

/** A figure over the repeats of one case and peer. */
export interface Spread {
  median: number;
  min: number;
  max: number;
  count: number;
}

/** What became of one case and peer. */
export interface Row {
  case: string;
  peer: string;
  /** Repeats that ran. */
  repeats: number;
  /** The worst of the repeats; `not-run` if none ran. */
  verdict: Verdict;
  reasons: string[];
  figures: Partial<Record<FigureKey, Spread>>;
  /** Median over the control's median, where both have one. */
  ratios: Partial<Record<FigureKey, number>>;
}

const WORSE: readonly Verdict[] = ["ok", "client-bound", "behind", "failed"];

export function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1
      ? sorted[middle]!
      : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return {
    median,
    min: sorted[0]!,
    max: sorted.at(-1)!,
    count: sorted.length,
  };
}

/** Half the distance from least to most, as a share of the median: what ± shows. */
export const halfRange = ({ median, min, max }: Spread): number =>
  median === 0 ? 0 : (max - min) / 2 / median;

function rowOf(measurements: Measurement[]): Row {
  const first = measurements[0]!;
  const ran = measurements.filter(({ verdict }) => verdict !== "not-run");
  const row: Row = {
    case: first.case,
    peer: first.peer,
    repeats: ran.length,
    verdict: "not-run",
    reasons: [...new Set(measurements.flatMap(({ reasons }) => reasons))],
    figures: {},
    ratios: {},
  };
  if (ran.length === 0) return row;
  row.verdict =
    WORSE[Math.max(...ran.map(({ verdict }) => WORSE.indexOf(verdict)))]!;
  const keys = new Set(
    ran.flatMap(({ figures }) => Object.keys(figures) as FigureKey[]),
  );
  for (const key of keys)
    row.figures[key] = spread(
      ran.flatMap(({ figures }) =>
        figures[key] === undefined ? [] : [figures[key]],
      ),
    );
  return row;
}

/** One row per case and peer, in the run's order, with the ratios to each case's control. */
export function summarize(run: RunFile): Row[] {
  const groups = new Map<string, Measurement[]>();
  for (const one of run.measurements) {
    const key = `${one.case} ${one.peer}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  const rows = new Map<string, Row>();
  for (const [key, group] of groups) rows.set(key, rowOf(group));
  const ordered: Row[] = [];
  for (const { id, control } of run.cases)
    for (const { name } of run.peers) {
      const row = rows.get(`${id} ${name}`);
      if (row === undefined) continue;
      ordered.push(row);
      const base = rows.get(`${id} ${control}`);
      if (base === undefined || base === row) continue;
      for (const key of Object.keys(row.figures) as FigureKey[]) {
        const under = base.figures[key]?.median;
        if (under !== undefined && under > 0)
          row.ratios[key] = row.figures[key]!.median / under;
      }
    }
  return ordered;
}
