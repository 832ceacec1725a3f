import {
  decodeHistogram,
  mergeHistograms,
  type Histogram,
} from "../load/histogram.ts";
import type {
  CaseEntry,
  Measurement,
  PeerEntry,
  RunFile,
} from "../run/run-file.ts";
import {
  figure,
  label,
  line,
  logScale,
  logTicks,
  shortMs,
  spreadApart,
  WIDTH,
} from "./svg.ts";

const HEIGHT = 380;
const LEFT = 64;
const RIGHT = 150;
const TOP = 16;
const BOTTOM = 44;
/** Shown as 1 / (1 - p): each step is a digit more of the tail. */
const PERCENTILES = [0, 50, 90, 99, 99.9];
const STEPS_PER_DECADE = 24;

interface Curve {
  peer: PeerEntry;
  histogram: Histogram;
  behind: boolean;
  /** The last percentile to draw. */
  upto: number;
}

/** The histogram of a measurement that its latency figures were taken from; none where they could not be trusted. */
export function latencyHistogram(one: Measurement): string | undefined {
  if (one.figures.p50_us === undefined || one.load === null) return undefined;
  const names = Object.keys(one.histograms).filter(
    (name) => name !== "connect" && !name.endsWith(", acks"),
  );
  // The first group is the measured one; its probes are named after it.
  const probes = `${names[0]}, probes`;
  return one.histograms[names.includes(probes) ? probes : names[0]!];
}

/** The highest percentile of a measurement that can be trusted; 0 for none. */
function trustedUpTo({ figures }: Measurement): number {
  if (figures.p999_us !== undefined) return 99.9;
  if (figures.p99_us !== undefined) return 99;
  if (figures.p90_us !== undefined) return 90;
  return figures.p50_us === undefined ? 0 : 50;
}

/** A peer's repeats together: those that can be trusted furthest, and only as far. */
function curvesOf(run: RunFile, { id }: CaseEntry): Curve[] {
  return run.peers.flatMap((peer): Curve[] => {
    const of = run.measurements.filter(
      (one) => one.case === id && one.peer === peer.name,
    );
    const upto = Math.max(0, ...of.map(trustedUpTo));
    const encoded = of
      .filter((one) => trustedUpTo(one) === upto)
      .flatMap((one) => latencyHistogram(one) ?? []);
    if (encoded.length === 0) return [];
    const histogram =
      encoded.length === 1
        ? decodeHistogram(encoded[0]!)
        : mergeHistograms(encoded);
    const behind = of.some(({ verdict }) => verdict === "behind");
    return [{ peer, histogram, behind, upto }];
  });
}

/** Latency by percentile, a line per peer, all repeats together; "" where no peer has one. */
export function latencyPlot(run: RunFile, of: CaseEntry): string {
  const curves = curvesOf(run, of);
  if (curves.length === 0) return "";
  const ms = (histogram: Histogram, percentile: number): number =>
    histogram.getValueAtPercentile(percentile) / 1000;
  const all = curves.flatMap(({ histogram, upto }) => [
    ms(histogram, 1),
    ms(histogram, upto),
  ]);
  const least = Math.max(0.02, Math.min(...all)) * 0.8;
  const most = Math.max(...all) * 1.2;
  const end = WIDTH - RIGHT;
  const x = logScale(1, 1000, LEFT, end);
  const y = logScale(least, most, HEIGHT - BOTTOM, TOP);
  const atPercentile = (percentile: number): number =>
    x(1 / (1 - percentile / 100));
  let body = "";
  for (const tick of logTicks(least, most)) {
    body += line(LEFT, y(tick), end, y(tick), "grid");
    body += label(LEFT - 8, y(tick) + 4, shortMs(tick), "tick end");
  }
  for (const percentile of PERCENTILES) {
    const at = atPercentile(percentile);
    body += line(at, TOP, at, HEIGHT - BOTTOM, "grid faint");
    body += label(
      at,
      HEIGHT - BOTTOM + 18,
      percentile === 0 ? "fastest" : `p${percentile}`,
      "tick middle",
    );
  }
  body += label(
    (LEFT + end) / 2,
    HEIGHT - 6,
    "share of deliveries that were at least this fast",
    "axis middle",
  );
  const labels: { y: number; text: string }[] = [];
  for (const { peer, histogram, behind, upto } of curves) {
    const points: string[] = [];
    const steps = Math.round(-Math.log10(1 - upto / 100) * STEPS_PER_DECADE);
    for (let step = 0; step <= steps; step++) {
      const inverse = 10 ** (step / STEPS_PER_DECADE);
      const percentile = 100 * (1 - 1 / inverse);
      points.push(
        `${x(inverse).toFixed(1)},${y(ms(histogram, percentile)).toFixed(1)}`,
      );
    }
    body += `<polyline points="${points.join(" ")}" class="curve p-${peer.name}${behind ? " behind" : ""}"/>`;
    labels.push({
      y: y(ms(histogram, upto)),
      text: `<tspan class="t-${peer.name}">${peer.title}</tspan>`,
    });
  }
  spreadApart(labels, 17);
  for (const { y: at, text } of labels)
    body += `<text x="${end + 10}" y="${(at + 4).toFixed(1)}" class="name">${text}</text>`;
  return figure(
    `Latency: ${of.title}`,
    "From the intended send time to the arrival. Lower is better; both axes are logarithmic. Dashed: the server did not keep up. A line that ends early is known no further.",
    HEIGHT,
    body,
  );
}
