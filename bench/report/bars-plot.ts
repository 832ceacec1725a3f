import { FIGURES, type FigureKey, showFigure } from "../run/figures.ts";
import type { RunFile } from "../run/run-file.ts";
import type { Row } from "../run/summary.ts";
import { figure, label, line, linearScale, WIDTH } from "./svg.ts";

const LEFT = 150;
const RIGHT = 150;
const BAR = 20;
const GAP = 5;
const HEAD = 26;
const BETWEEN = 18;

/**
 * Horizontal bars of one figure: a block per case, a bar per peer, its value and its ratio to the control beside it,
 * its repeats' range as a whisker. All blocks share one scale. "" where no row has the figure.
 */
export function barsPlot(
  run: RunFile,
  rows: Row[],
  key: FigureKey,
  title: string,
  about: string,
): string {
  const having = rows.filter((row) => row.figures[key] !== undefined);
  if (having.length === 0) return "";
  const most = Math.max(...having.map((row) => row.figures[key]!.max));
  const x = linearScale(most, LEFT, WIDTH - RIGHT);
  let body = "";
  let y = 0;
  for (const { id, title: caseTitle } of run.cases) {
    const of = having.filter((row) => row.case === id);
    if (of.length === 0) continue;
    body += label(0, y + 14, caseTitle, "block");
    y += HEAD;
    for (const row of of) {
      const peer = run.peers.find(({ name }) => name === row.peer)!;
      const { median, min, max, count } = row.figures[key]!;
      const ratio = row.ratios[key];
      const middle = y + BAR / 2;
      body += label(
        LEFT - 10,
        middle + 4,
        peer.title,
        `name end t-${peer.name}`,
      );
      body += `<rect x="${LEFT}" y="${y}" width="${Math.max(1, x(median) - LEFT).toFixed(1)}" height="${BAR}" rx="3" class="b-${peer.name}"/>`;
      if (count > 1) body += line(x(min), middle, x(max), middle, "whisker");
      const mark =
        row.verdict === "failed"
          ? " failed"
          : row.verdict === "behind"
            ? " behind"
            : "";
      body += label(
        x(Math.max(median, count > 1 ? max : median)) + 8,
        middle + 4,
        `${showFigure(key, median)}${ratio === undefined ? "" : ` (× ${ratio.toFixed(2)})`}${mark}`,
        "value",
      );
      y += BAR + GAP;
    }
    y += BETWEEN;
  }
  const { better } = FIGURES[key];
  return figure(
    title,
    `${about} ${better === "less" ? "Shorter" : "Longer"} is better.`,
    y - BETWEEN + 4,
    body,
  );
}
