import {
  encodeHistogram,
  newHistogram,
  recordUs,
} from "../../bench/load/histogram.ts";
import type { Figures } from "../../bench/run/figures.ts";
import type {
  LoadCounts,
  Measurement,
  RunFile,
} from "../../bench/run/run-file.ts";

function histogram(median_us: number): string {
  const values = newHistogram();
  for (let i = 0; i < 1000; i++)
    recordUs(values, (median_us * (i + 500)) / 1000);
  return encodeHistogram(values);
}

/** One measurement; figures' `p50_us` shapes its histogram. */
export function measured(
  id: string,
  peer: string,
  figures: Figures,
  other: Partial<Measurement> = {},
): Measurement {
  return {
    case: id,
    peer,
    round: 0,
    verdict: "ok",
    reasons: [],
    figures,
    histograms:
      figures.p50_us === undefined ? {} : { room: histogram(figures.p50_us) },
    load: { offered_deliveries_per_second: 1000, server: null } as LoadCounts,
    ...other,
  };
}

const entry = (name: string, title: string, missing: string | null = null) => ({
  name,
  title,
  does: `does what ${name} does`,
  version: missing === null ? "1.0" : "",
  missing,
});

/** A run of two cases, a ladder and a missing peer, with figures that are easy to check by hand. */
export function fixedRun(): RunFile {
  const F = "fanout/5000";
  return {
    version: 1,
    started_at: "2026-01-02T03:04:05.000Z",
    seconds: 12.3,
    command: "bun run bench --only <all>",
    commit: "abc123def456",
    machine: {
      cpus: 2,
      model: "Some CPU",
      memory_bytes: 2 ** 33,
      kernel: "6.1",
      bun: "1.4.5",
      node: null,
      open_files: 20_000,
    },
    peers: [
      entry("bare", "bare Bun"),
      entry("roomcast", "roomcast"),
      entry("ws", "Node + ws"),
      entry("centrifugo", "Centrifugo", "it is not on the PATH"),
    ],
    cases: [
      {
        id: F,
        scenario: "fanout",
        title: "5,000 in a room",
        control: "bare",
        columns: ["cpu_us_per_delivery", "p50_us", "p99_us"],
        offered: 1000,
      },
      {
        id: "noisy-neighbour",
        scenario: "noisy-neighbour",
        title: "small beside large",
        control: "bare",
        columns: ["p50_us", "p99_us"],
        offered: 1000,
      },
      ...[10, 20].map((rate) => ({
        id: `saturate/${rate}`,
        scenario: "saturate",
        title: `rate ${rate}`,
        control: "bare",
        columns: ["delivered_per_second"],
        offered: rate * 5000,
      })),
      {
        id: "crash",
        scenario: "crash",
        title: "SIGKILL",
        control: "bare",
        columns: ["acked", "acked_lost"],
        offered: 0,
      },
    ],
    measurements: [
      measured(F, "bare", {
        cpu_us_per_delivery: 5,
        p50_us: 20_000,
        p99_us: 40_000,
      }),
      measured(F, "roomcast", {
        cpu_us_per_delivery: 6,
        p50_us: 18_000,
        p99_us: 30_000,
      }),
      measured(
        F,
        "ws",
        { cpu_us_per_delivery: 12, p50_us: 900_000 },
        {
          verdict: "behind",
          reasons: ["carried 80 of 100 <deliveries>/s"],
        },
      ),
      measured(
        F,
        "bare",
        { cpu_us_per_delivery: 7, p50_us: 22_000, p99_us: 60_000 },
        { round: 1 },
      ),
      measured(
        F,
        "roomcast",
        { cpu_us_per_delivery: 8, p50_us: 18_000 },
        {
          round: 1,
          verdict: "client-bound",
          reasons: ["sends were late"],
        },
      ),
      measured("noisy-neighbour", "bare", {
        p50_us: 14_000,
        p90_us: 34_000,
        p99_us: 46_000,
      }),
      measured("noisy-neighbour", "roomcast", {
        p50_us: 700,
        p90_us: 1900,
        p99_us: 4100,
      }),
      measured("saturate/10", "roomcast", { delivered_per_second: 50_000 }),
      measured(
        "saturate/20",
        "roomcast",
        { delivered_per_second: 60_000 },
        { verdict: "behind", reasons: ["carried less"] },
      ),
      measured(
        "crash",
        "roomcast",
        { acked: 1000, acked_lost: 3 },
        { verdict: "failed", reasons: ["3 lost"], load: null },
      ),
      measured(
        "crash",
        "ws",
        {},
        { verdict: "not-run", reasons: ["has no history"], load: null },
      ),
    ],
    notes: ["one thing was left out"],
  };
}
