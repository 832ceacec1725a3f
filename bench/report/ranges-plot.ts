import type { RunFile } from "../run/run-file.ts";
import type { Row } from "../run/summary.ts";
import { showFigure } from "../run/figures.ts";
import {
  figure,
  label,
  line,
  logScale,
  logTicks,
  shortMs,
  WIDTH,
} from "./svg.ts";

const LEFT = 150;
const RIGHT = 70;
const ROW = 44;
const TOP = 8;
const BOTTOM = 30;

/** p50, p90 and p99 of a case's latency as one beam per peer; "" where no peer has them. */
export function rangesPlot(
  run: RunFile,
  rows: Row[],
  id: string,
  title: string,
  about: string,
): string {
  const beams = rows.flatMap((row) => {
    const { p50_us, p90_us, p99_us } = row.figures;
    if (row.case !== id || p50_us === undefined) return [];
    const p50 = p50_us.median / 1000;
    const p90 = (p90_us?.median ?? p50_us.median) / 1000;
    const p99 = p99_us === undefined ? null : p99_us.median / 1000;
    const peer = run.peers.find(({ name }) => name === row.peer)!;
    return [{ peer, p50, p90, p99 }];
  });
  if (beams.length === 0) return "";
  const least = Math.min(...beams.map(({ p50 }) => p50)) * 0.6;
  const most = Math.max(...beams.map(({ p90, p99 }) => p99 ?? p90)) * 1.6;
  const end = WIDTH - RIGHT;
  const x = logScale(least, most, LEFT, end);
  const bottom = TOP + beams.length * ROW;
  let body = "";
  for (const tick of logTicks(least, most)) {
    body += line(x(tick), TOP, x(tick), bottom, "grid");
    body += label(x(tick), bottom + 18, shortMs(tick), "tick middle");
  }
  for (const [index, { peer, p50, p90, p99 }] of beams.entries()) {
    const y = TOP + index * ROW + ROW / 2 + 4;
    const cls = peer.name;
    body += label(LEFT - 10, y + 4, peer.title, `name end t-${cls}`);
    if (p99 !== null) body += line(x(p90), y, x(p99), y, `beam thin p-${cls}`);
    body += line(x(p50), y, x(p90), y, `beam p-${cls}`);
    const marks: [number, string][] = [
      [p50, "p50"],
      [p90, "p90"],
      ...(p99 === null ? [] : [[p99, "p99"] as [number, string]]),
    ];
    let free = 0;
    for (const [value, name] of marks) {
      body += `<circle cx="${x(value).toFixed(1)}" cy="${y}" r="5" class="b-${cls}"/>`;
      // A label that would cover the one before is left out; the table has it.
      if (x(value) - free < 62) continue;
      free = x(value);
      body += label(
        x(value),
        y - 12,
        `${name} ${showFigure("p50_us", value * 1000)}`,
        "value small middle",
      );
    }
  }
  return figure(
    title,
    `${about} Milliseconds, logarithmic; further left is better.`,
    bottom + BOTTOM,
    body,
  );
}
