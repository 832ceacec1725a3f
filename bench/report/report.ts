import { machineText } from "../run/machine.ts";
import type { RunFile } from "../run/run-file.ts";
import { type Row, summarize } from "../run/summary.ts";
import { barsPlot } from "./bars-plot.ts";
import { ladderPlot } from "./ladder-plot.ts";
import { latencyPlot } from "./latency-plot.ts";
import { rangesPlot } from "./ranges-plot.ts";
import { STYLE } from "./style.ts";
import { escape } from "./svg.ts";
import { caseTable } from "./tables.ts";
import { tiles } from "./tiles.ts";

/** Cases whose latency is drawn, in this order. */
const LATENCY_CASES = ["fanout/5000", "rooms-small/500x2-busy"];
/** Where a run has none of them, what it has of these. */
const LATENCY_INSTEAD = [
  "fanout/1000",
  "rooms-small/500x2",
  "mixed-formats/5000",
];
const CPU_SCENARIOS = ["fanout", "rooms-small", "mixed-formats", "stored"];

/** One HTML page with everything in it: no script, no request. */
export function renderReport(run: RunFile): string {
  const rows = summarize(run);
  const body = [
    header(run),
    tiles(rows),
    plots(run, rows),
    `<h2>All figures</h2><p class="why">Median of the repeats, ± half their range, × the ratio to the control (*). – is a figure that could not be trusted or was not to be had.</p>`,
    run.cases.map((one) => caseTable(run, rows, one)).join(""),
    footer(run),
  ].join("\n");
  return (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width,initial-scale=1">` +
    `<title>roomcast bench, ${escape(run.started_at.slice(0, 10))}</title><style>${STYLE}</style></head>` +
    `<body><main>${body}</main></body></html>\n`
  );
}

function header(run: RunFile): string {
  const when = run.started_at.replace("T", " ").slice(0, 16);
  return (
    `<header><h1>roomcast beside its peers</h1>` +
    `<p>Measured on ${escape(machineText(run.machine))}, one server at a time, in turns, ` +
    `${escape(when)} UTC, commit ${escape(run.commit)}, in ${Math.round(run.seconds)} s.</p></header>`
  );
}

function plots(run: RunFile, rows: Row[]): string {
  const has = (id: string): boolean =>
    rows.some((row) => row.case === id && row.repeats > 0);
  const wanted = LATENCY_CASES.some(has) ? LATENCY_CASES : LATENCY_INSTEAD;
  const latency = wanted
    .map((id) => run.cases.find((one) => one.id === id))
    .map((one) => (one === undefined ? "" : latencyPlot(run, one)))
    .join("");
  const cpuCases = new Set(
    run.cases
      .filter(({ scenario }) => CPU_SCENARIOS.includes(scenario))
      .map(({ id }) => id),
  );
  const cpu = barsPlot(
    run,
    rows.filter((row) => cpuCases.has(row.case)),
    "cpu_us_per_delivery",
    "The server's CPU time per delivery, in µs",
    "With the ratio to the control. Holds on a busy machine, too.",
  );
  const beside = rangesPlot(
    run,
    rows,
    "noisy-neighbour",
    "Small rooms beside a noisy neighbour",
    "100 rooms of 2, while a room of 5,000 gets 20 messages a second.",
  );
  const memory = barsPlot(
    run,
    rows.filter((row) => row.case === "idle"),
    "bytes_per_connection",
    "Resident memory of a quiet connection, in bytes",
    "What the process grew by, divided; the kernel's buffers are not in it.",
  );
  const sections: [string, string][] = [
    ["How long a message takes", latency],
    ["What it costs", cpu],
    ["How far it goes", ladderPlot(run, rows)],
    ["Who suffers for whom", beside],
    ["What silence costs", memory],
  ];
  return sections
    .filter(([, content]) => content !== "")
    .map(([title, content]) => `<section><h2>${title}</h2>${content}</section>`)
    .join("");
}

function footer(run: RunFile): string {
  const peers = run.peers.map(({ title, version, does, missing }) =>
    missing === null
      ? `<li><b>${escape(title)}</b> (${escape(version)}): ${escape(does)}</li>`
      : `<li><b>${escape(title)}</b>: not measured, ${escape(missing)}</li>`,
  );
  const notes = run.notes.map((note) => `<li>${escape(note)}</li>`);
  return (
    `<h2>What was measured</h2><ul>${peers.join("")}${notes.join("")}` +
    `<li>${escape(run.command)}; Bun ${escape(run.machine.bun)}; latency counts from the intended send time of an open-loop schedule, ` +
    `and every delivery is counted: bench/README.md says how.</li></ul>`
  );
}
