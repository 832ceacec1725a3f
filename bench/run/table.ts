import { FIGURES, type FigureKey, showFigure } from "./figures.ts";
import { machineText } from "./machine.ts";
import type { RunFile } from "./run-file.ts";
import { halfRange, type Row, summarize } from "./summary.ts";

const PEER_WIDTH = 18;
const CELL_WIDTH = 20;
/** Of a row; the report has all. */
const MOST_REASONS = 2;

/** A run as tables for a terminal: one per case, a row per peer, each figure with its spread and its ratio. */
export function printRun(run: RunFile): string {
  const lines: string[] = [
    `roomcast ${run.commit} on ${machineText(run.machine)}`,
    "",
  ];
  const rows = summarize(run);
  for (const { id, title, columns, control } of run.cases) {
    const keys = columns as FigureKey[];
    if (!rows.some((row) => row.case === id)) continue;
    lines.push(
      `${id}: ${title}`,
      "  " +
        "".padEnd(PEER_WIDTH) +
        keys.map((key) => FIGURES[key].title.padStart(CELL_WIDTH)).join("") +
        "   n",
    );
    for (const row of rows) {
      if (row.case !== id) continue;
      lines.push(...rowLines(run, row, keys, control));
    }
    lines.push("");
  }
  const missing = Map.groupBy(run.peers, (peer) => peer.missing);
  for (const [why, peers] of missing)
    if (why !== null)
      lines.push(
        `${peers.map(({ title }) => title).join("; ")}: not measured, ${why}`,
      );
  for (const note of run.notes) lines.push(`note: ${note}`);
  lines.push(
    "median ±half the range of n repeats; (ratio to the control, marked *). `-`: no figure that can be trusted",
  );
  return `${lines.join("\n")}\n`;
}

function rowLines(
  run: RunFile,
  row: Row,
  keys: FigureKey[],
  control: string,
): string[] {
  const peer = run.peers.find(({ name }) => name === row.peer);
  const name = `${peer?.title ?? row.peer}${row.peer === control ? "*" : ""}`;
  const head = `  ${name.padEnd(PEER_WIDTH)}`;
  if (row.repeats === 0) {
    const why = row.reasons.join("; ");
    return [`${head}  not run: ${why}`];
  }
  const lines = [
    head +
      keys.map((key) => cell(row, key).padStart(CELL_WIDTH)).join("") +
      String(row.repeats).padStart(4) +
      (row.verdict === "ok" ? "" : `  ${row.verdict.toUpperCase()}`),
  ];
  for (const reason of row.reasons.slice(0, MOST_REASONS))
    lines.push(`      ${reason}`);
  if (row.reasons.length > MOST_REASONS)
    lines.push(`      and ${row.reasons.length - MOST_REASONS} more`);
  return lines;
}

/** "7.31 ±3% (1.04)"; a figure that was not to be had is "-". */
export function cell(row: Row, key: FigureKey): string {
  const figure = row.figures[key];
  if (figure === undefined) return "-";
  const ratio = row.ratios[key];
  const around =
    figure.count > 1 ? ` ±${Math.round(halfRange(figure) * 100)}%` : "";
  return `${showFigure(key, figure.median)}${around}${ratio === undefined ? "" : ` (${ratio.toFixed(2)})`}`;
}
