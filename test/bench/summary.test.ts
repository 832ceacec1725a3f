import { expect, test } from "bun:test";
import { compareRuns, printComparison } from "../../bench/run/compare.ts";
import { halfRange, spread, summarize } from "../../bench/run/summary.ts";
import { printRun } from "../../bench/run/table.ts";
import { fixedRun, measured } from "./fixed-run.ts";

test("the median of an odd and of an even number of repeats, and their range", () => {
  expect(spread([9, 1, 2])).toEqual({ median: 2, min: 1, max: 9, count: 3 });
  expect(spread([4, 1, 9, 2])).toMatchObject({ median: 3 });
  expect(halfRange(spread([9, 10, 11]))).toBeCloseTo(0.1);
  expect(halfRange(spread([0, 0]))).toBe(0);
});

test("rows: medians, ratios to the control, the worst verdict, all reasons", () => {
  const rows = summarize(fixedRun());
  const row = rows.find(
    (one) => one.case === "fanout/5000" && one.peer === "roomcast",
  )!;
  expect(row.repeats).toBe(2);
  expect(row.figures.cpu_us_per_delivery).toEqual({
    median: 7,
    min: 6,
    max: 8,
    count: 2,
  });
  expect(row.ratios.cpu_us_per_delivery).toBeCloseTo(7 / 6);
  // Only one repeat had a p99 that could be trusted.
  expect(row.figures.p99_us!.count).toBe(1);
  expect(row.ratios.p99_us).toBeCloseTo(30 / 50);
  expect(row.verdict).toBe("client-bound");
  expect(row.reasons).toEqual(["sends were late"]);
  const none = rows.find((one) => one.case === "crash" && one.peer === "ws")!;
  expect(none).toMatchObject({ repeats: 0, verdict: "not-run", figures: {} });
  const control = rows.find((one) => one.peer === "bare")!;
  expect(control.ratios).toEqual({});
});

test("the table has a row per case and peer, and says what is missing and why", () => {
  const text = printRun(fixedRun());
  const lineOf = (start: string): string =>
    text.split("\n").find((line) => line.startsWith(start))!;
  expect(lineOf("  bare Bun*")).toMatch(
    /6\.00 ±17% +21\.0 ±5% +50\.0 ±20% +2$/,
  );
  expect(lineOf("  roomcast")).toMatch(
    /7\.00 ±14% \(1\.17\) +18\.0 ±0% \(0\.86\) +30\.0 \(0\.60\) +2 {2}CLIENT-BOUND$/,
  );
  expect(lineOf("  Node + ws")).toMatch(
    /12\.0 \(2\.00\) +900 \(42\.86\) +- +1 {2}BEHIND$/,
  );
  expect(text).toContain("carried 80 of 100");
  expect(text).toContain("1,000                   3   1  FAILED");
  expect(text).toContain("not run: has no history");
  expect(text).toContain("Centrifugo: not measured, it is not on the PATH");
  expect(text).toContain("note: one thing was left out");
});

test("peers that lack the same are told in one line", () => {
  const run = fixedRun();
  for (const peer of run.peers.slice(2)) peer.missing = "it is not installed";
  expect(printRun(run)).toContain(
    "\nNode + ws; Centrifugo: not measured, it is not installed\n",
  );
});

test("a comparison tells changes from noise, and which way is better", () => {
  const before = fixedRun();
  const after = fixedRun();
  for (const one of after.measurements) {
    if (
      one.peer === "roomcast" &&
      one.figures.cpu_us_per_delivery !== undefined
    )
      one.figures.cpu_us_per_delivery *= 2;
    // Within the range of the repeats before.
    if (one.peer === "bare" && one.figures.cpu_us_per_delivery !== undefined)
      one.figures.cpu_us_per_delivery += 1;
    if (one.case === "saturate/10") one.figures.delivered_per_second = 70_000;
  }
  const of = (id: string, peer: string, key: string) =>
    compareRuns(before, after).find(
      (one) => one.case === id && one.peer === peer && one.key === key,
    )!;
  expect(of("fanout/5000", "roomcast", "cpu_us_per_delivery")).toMatchObject({
    factor: 2,
    verdict: "worse",
  });
  expect(of("fanout/5000", "bare", "cpu_us_per_delivery").verdict).toBe(
    "noise",
  );
  expect(of("saturate/10", "roomcast", "delivered_per_second").verdict).toBe(
    "noise",
  );
  expect(of("noisy-neighbour", "bare", "p50_us")).toMatchObject({
    factor: 1,
    verdict: "noise",
  });
  const text = printComparison(before, after);
  expect(text.indexOf("\nworse\n")).toBeLessThan(
    text.indexOf("\nwithin the noise\n"),
  );
  expect(text).toMatch(
    /fanout\/5000 +roomcast +CPU µs\/delivery +7\.00 → 14\.0 +× 2\.00/,
  );
});

test("a change below 5 % is none, however steady the repeats", () => {
  const run = (value: number) => ({
    ...fixedRun(),
    measurements: [0, 1].map((round) =>
      measured(
        "fanout/5000",
        "bare",
        { cpu_us_per_delivery: value },
        { round },
      ),
    ),
  });
  expect(compareRuns(run(100), run(104))[0]!.verdict).toBe("noise");
  expect(compareRuns(run(100), run(106))[0]!.verdict).toBe("worse");
  expect(compareRuns(run(100), run(94))[0]!.verdict).toBe("better");
});

test("runs of other machines, and runs without a common case, are told so", () => {
  const other = fixedRun();
  other.machine.model = "Another CPU";
  expect(printComparison(fixedRun(), other)).toContain("the machines differ");
  other.measurements = [];
  expect(printComparison(fixedRun(), other)).toContain("no case in common");
});
