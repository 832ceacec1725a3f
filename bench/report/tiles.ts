import type { FigureKey } from "../run/figures.ts";
import { showFigure } from "../run/figures.ts";
import type { Row } from "../run/summary.ts";
import { escape } from "./svg.ts";

interface Headline {
  case: string;
  key: FigureKey;
  /** What stands large: the figure with its unit, or the ratio to the control. */
  shows: "ratio" | "figure";
  unit: string;
  says: string;
}

const HEADLINES: readonly Headline[] = [
  {
    case: "fanout/5000",
    key: "cpu_us_per_delivery",
    shows: "ratio",
    unit: "",
    says: "the CPU time of bare Bun per delivery, 5,000 in a room, history and acks on",
  },
  {
    case: "rooms-small/500x2",
    key: "p50_us",
    shows: "figure",
    unit: " ms",
    says: "median from send to delivery, 500 rooms of 2, every message stored first",
  },
  {
    case: "noisy-neighbour",
    key: "p99_us",
    shows: "ratio",
    unit: "",
    says: "bare Bun's p99 in small rooms beside a room of 5,000",
  },
  {
    case: "idle",
    key: "bytes_per_connection",
    shows: "figure",
    unit: " bytes",
    says: "of resident memory per quiet connection",
  },
  {
    case: "crash",
    key: "acked_lost",
    shows: "figure",
    unit: " lost",
    says: "acknowledged messages after 10 × SIGKILL under load",
  },
];

const MOST = 4;

/** roomcast's headline figures, those that this run has. */
export function tiles(rows: Row[]): string {
  const shown = HEADLINES.flatMap(({ case: id, key, shows, unit, says }) => {
    const row = rows.find((one) => one.case === id && one.peer === "roomcast");
    if (row === undefined || row.verdict === "failed") return [];
    const figure = row.figures[key];
    const ratio = row.ratios[key];
    if (shows === "ratio" ? ratio === undefined : figure === undefined)
      return [];
    const text =
      shows === "ratio"
        ? `× ${ratio!.toFixed(2)}`
        : `${showFigure(key, figure!.median)}${unit}`;
    return [
      `<div class="tile"><b>${escape(text)}</b><span>${escape(says)}</span></div>`,
    ];
  });
  return shown.length === 0
    ? ""
    : `<div class="tiles">${shown.slice(0, MOST).join("")}</div>`;
}
