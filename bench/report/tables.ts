import { FIGURES, type FigureKey, showFigure } from "../run/figures.ts";
import type { CaseEntry, RunFile } from "../run/run-file.ts";
import { halfRange, type Row } from "../run/summary.ts";
import { escape } from "./svg.ts";

/** A case's rows as an HTML table, with all reasons; "" where nothing ran. */
export function caseTable(run: RunFile, rows: Row[], of: CaseEntry): string {
  const own = rows.filter((row) => row.case === of.id);
  if (own.length === 0) return "";
  const keys = of.columns as FigureKey[];
  const head = keys
    .map((key) => `<th>${escape(FIGURES[key].title)}</th>`)
    .join("");
  return (
    `<div class="scroll"><table><caption>${escape(of.id)} <small>${escape(of.title)}</small></caption>` +
    `<thead><tr><th></th>${head}<th>repeats</th></tr></thead><tbody>` +
    own.map((row) => tableRow(run, row, keys, of.control)).join("") +
    `</tbody></table></div>`
  );
}

function tableRow(
  run: RunFile,
  row: Row,
  keys: FigureKey[],
  control: string,
): string {
  const title =
    run.peers.find(({ name }) => name === row.peer)?.title ?? row.peer;
  const verdict =
    row.verdict === "ok" || row.repeats === 0
      ? ""
      : `<small class="${row.verdict}">${row.verdict}</small>`;
  const name = `<td class="t-${row.peer}">${escape(title)}${row.peer === control ? "*" : ""}${verdict}</td>`;
  const why = row.reasons
    .map((reason) => `<div>${escape(reason)}</div>`)
    .join("");
  const span = keys.length + 1;
  if (row.repeats === 0)
    return `<tr>${name}<td class="why" colspan="${span}">not run: ${why}</td></tr>`;
  const cells = keys.map((key) => `<td>${cell(row, key)}</td>`).join("");
  const line = `<tr>${name}${cells}<td>${row.repeats}</td></tr>`;
  if (why === "") return line;
  return `${line}<tr><td></td><td class="why" colspan="${span}">${why}</td></tr>`;
}

function cell(row: Row, key: FigureKey): string {
  const figure = row.figures[key];
  if (figure === undefined) return "–";
  const ratio = row.ratios[key];
  const parts: string[] = [];
  if (figure.count > 1) parts.push(`±${Math.round(halfRange(figure) * 100)} %`);
  if (ratio !== undefined) parts.push(`× ${ratio.toFixed(2)}`);
  const small = parts.length === 0 ? "" : `<small>${parts.join(" ")}</small>`;
  return showFigure(key, figure.median) + small;
}
