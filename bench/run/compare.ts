import { FIGURES, type FigureKey, showFigure } from "./figures.ts";
import type { RunFile } from "./run-file.ts";
import { type Spread, summarize } from "./summary.ts";

/** A change smaller than this is not told as one, however steady the repeats are. */
const LEAST_CHANGE = 0.05;

export interface Change {
  case: string;
  peer: string;
  key: FigureKey;
  before: Spread;
  after: Spread;
  /** After over before. */
  factor: number;
  /** `noise`: the ranges of the repeats overlap, the change is below 5 %, or there was only one repeat. */
  verdict: "better" | "worse" | "noise";
}

/** Every figure that both runs have, of the columns that the later run shows. */
export function compareRuns(before: RunFile, after: RunFile): Change[] {
  const old = new Map(
    summarize(before).map((row) => [`${row.case} ${row.peer}`, row]),
  );
  const changes: Change[] = [];
  for (const row of summarize(after)) {
    const was = old.get(`${row.case} ${row.peer}`);
    const columns = after.cases.find(({ id }) => id === row.case)?.columns;
    for (const key of (columns ?? []) as FigureKey[]) {
      const from = was?.figures[key];
      const to = row.figures[key];
      if (from === undefined || to === undefined) continue;
      changes.push({
        case: row.case,
        peer: row.peer,
        key,
        before: from,
        after: to,
        factor:
          from.median === 0
            ? to.median === 0
              ? 1
              : Infinity
            : to.median / from.median,
        verdict: verdictOf(key, from, to),
      });
    }
  }
  return changes;
}

function verdictOf(
  key: FigureKey,
  before: Spread,
  after: Spread,
): Change["verdict"] {
  const overlap = before.max >= after.min && after.max >= before.min;
  const moved =
    Math.abs(after.median - before.median) >
    LEAST_CHANGE * Math.abs(before.median);
  const once = before.count < 2 || after.count < 2;
  if (once || overlap || !moved) return "noise";
  const less = after.median < before.median;
  return less === (FIGURES[key].better === "less") ? "better" : "worse";
}

/** The comparison for a terminal: first what is sure, then what lies within the noise. */
export function printComparison(before: RunFile, after: RunFile): string {
  const changes = compareRuns(before, after);
  const lines = [
    `${before.commit} (${before.started_at}) → ${after.commit} (${after.started_at})`,
  ];
  const machines = [before, after].map(({ machine }) =>
    JSON.stringify([machine.cpus, machine.model, machine.kernel]),
  );
  if (machines[0] !== machines[1])
    lines.push(
      "the machines differ: compare ratios to the controls, not figures",
    );
  if (changes.length === 0) lines.push("the two runs have no case in common");
  for (const verdict of ["worse", "better", "noise"] as const) {
    const of = changes.filter((change) => change.verdict === verdict);
    if (of.length === 0) continue;
    lines.push("", verdict === "noise" ? "within the noise" : verdict);
    for (const { case: id, peer, key, before: from, after: to, factor } of of)
      lines.push(
        `  ${id.padEnd(24)}${peer.padEnd(12)}${FIGURES[key].title.padEnd(20)}` +
          `${showFigure(key, from.median).padStart(11)} → ${showFigure(key, to.median).padEnd(11)}` +
          `× ${factor.toFixed(2)}  (${from.count} and ${to.count} repeats)`,
      );
  }
  return `${lines.join("\n")}\n`;
}
