import { wasCarried } from "../run/rounds.ts";
import type { PeerEntry, RunFile } from "../run/run-file.ts";
import type { Row } from "../run/summary.ts";
import {
  figure,
  label,
  line,
  linearScale,
  linearTicks,
  short,
  spreadApart,
  WIDTH,
} from "./svg.ts";

const HEIGHT = 360;
const LEFT = 64;
const RIGHT = 150;
const TOP = 16;
const BOTTOM = 44;

interface Rung {
  offered: number;
  delivered: number;
  carried: boolean;
}

/** Delivered against offered deliveries per second, a line per peer up to where it broke; "" without the ladder. */
export function ladderPlot(run: RunFile, rows: Row[]): string {
  const rungs = run.cases.filter(({ scenario }) => scenario === "saturate");
  const ladders = run.peers.flatMap((peer) => {
    const points = rungs.flatMap(({ id, offered }): Rung[] => {
      const row = rows.find((one) => one.case === id && one.peer === peer.name);
      const delivered = row?.figures.delivered_per_second?.median;
      if (row === undefined || delivered === undefined) return [];
      const carried = run.measurements.some(
        (one) => one.case === id && one.peer === peer.name && wasCarried(one),
      );
      return [{ offered, delivered, carried }];
    });
    return points.length === 0 ? [] : [{ peer, points }];
  });
  if (ladders.length === 0) return "";
  const most = Math.max(
    ...ladders.flatMap(({ points }) =>
      points.flatMap(({ offered, delivered }) => [offered, delivered]),
    ),
  );
  const end = WIDTH - RIGHT;
  const x = linearScale(most, LEFT, end);
  const y = linearScale(most, HEIGHT - BOTTOM, TOP);
  let body = "";
  for (const tick of linearTicks(most)) {
    body += line(LEFT, y(tick), end, y(tick), "grid");
    body += label(LEFT - 8, y(tick) + 4, short(tick), "tick end");
    body += label(x(tick), HEIGHT - BOTTOM + 18, short(tick), "tick middle");
  }
  body += line(x(0), y(0), x(most), y(most), "ideal");
  body += label(
    (LEFT + end) / 2,
    HEIGHT - 6,
    "offered deliveries per second",
    "axis middle",
  );
  const labels: { y: number; x: number; peer: PeerEntry }[] = [];
  for (const { peer, points } of ladders) {
    const path = points.map(
      ({ offered, delivered }) =>
        `${x(offered).toFixed(1)},${y(delivered).toFixed(1)}`,
    );
    body += `<polyline points="${path.join(" ")}" class="curve p-${peer.name}"/>`;
    for (const { offered, delivered, carried } of points)
      body += `<circle cx="${x(offered).toFixed(1)}" cy="${y(delivered).toFixed(1)}" r="4.5" class="${carried ? `b-${peer.name}` : `hollow p-${peer.name}`}"/>`;
    const last = points.at(-1)!;
    labels.push({ y: y(last.delivered), x: x(last.offered) + 10, peer });
  }
  spreadApart(labels, 17);
  for (const { x: at, y: height, peer } of labels)
    body += label(at, height + 4, peer.title, `name t-${peer.name}`);
  return figure(
    "How far they climb: 5,000 in a room, more and more messages",
    "Delivered against offered. On the diagonal everything arrives; a hollow point is a rung that was not carried whole.",
    HEIGHT,
    body,
  );
}
