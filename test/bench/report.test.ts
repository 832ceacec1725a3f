import { expect, test } from "bun:test";
import { renderReport } from "../../bench/report/report.ts";
import { logTicks, linearTicks, spreadApart } from "../../bench/report/svg.ts";
import { fixedRun } from "./fixed-run.ts";

const html = renderReport(fixedRun());
/** The plot whose title begins with this. */
const plot = (title: string): string =>
  html.split("<figure>").find((part) => part.includes(`<h3>${title}`)) ?? "";
const count = (text: string, what: RegExp): number =>
  text.match(what)?.length ?? 0;

test("asks nothing of any other place, and runs nothing", () => {
  expect(html).not.toMatch(
    /<script|<link|<img|@import|url\(|src=|href=|https?:/,
  );
  expect(html).toContain("prefers-color-scheme:dark");
});

test("is whole: every element that opens closes, every number is one", () => {
  for (const tag of [
    "main",
    "section",
    "figure",
    "svg",
    "table",
    "text",
    "ul",
    "div",
  ])
    expect(count(html, new RegExp(`<${tag}[ >]`, "g"))).toBe(
      count(html, new RegExp(`</${tag}>`, "g")),
    );
  expect(html).not.toMatch(/NaN|undefined|Infinity|null/);
});

test("what comes from outside is escaped", () => {
  expect(html).toContain("carried 80 of 100 &#60;deliveries&#62;/s");
  expect(html).toContain("--only &#60;all&#62;");
});

test("draws a latency curve per peer, dashed where it fell behind", () => {
  const latency = plot("Latency: 5,000 in a room");
  expect(count(latency, /<polyline/g)).toBe(3);
  expect(latency).toContain('class="curve p-ws behind"');
  expect(latency).toContain('class="curve p-roomcast"');
});

test("draws CPU bars in proportion, with ratios", () => {
  const cpu = plot("The server&#39;s CPU time");
  const widths = [...cpu.matchAll(/width="([\d.]+)" height="20"/g)].map(
    (match) => Number(match[1]),
  );
  expect(widths.length).toBe(3);
  expect(widths[2]! / widths[0]!).toBeCloseTo(2, 1);
  expect(cpu).toContain("7.00 (× 1.17)");
});

test("draws the ladder with a hollow last rung, and the small rooms' ranges", () => {
  const ladder = plot("How far they climb");
  expect(count(ladder, /<circle/g)).toBe(2);
  expect(count(ladder, /class="hollow p-roomcast"/g)).toBe(1);
  const beside = plot("Small rooms beside");
  expect(count(beside, /<circle/g)).toBe(6);
  expect(beside).toContain("p99 4.10");
});

test("lists failures, what did not run, and peers that are missing", () => {
  expect(html).toContain('<small class="failed">failed</small>');
  expect(html).toContain("not run: <div>has no history</div>");
  expect(html).toContain(
    "<b>Centrifugo</b>: not measured, it is not on the PATH",
  );
  expect(html).toContain("one thing was left out");
});

test("an empty run is a page, too", () => {
  const empty = renderReport({ ...fixedRun(), measurements: [] });
  expect(empty).not.toContain("<svg");
  expect(empty).toContain("roomcast beside its peers");
});

test("ticks are round and inside, labels keep their distance", () => {
  expect(logTicks(0.9, 60)).toEqual([1, 2, 5, 10, 20, 50]);
  expect(logTicks(0.05, 5000)).toEqual([0.1, 1, 10, 100, 1000]);
  expect(linearTicks(1_000_000)).toEqual([
    0, 200_000, 400_000, 600_000, 800_000, 1_000_000,
  ]);
  const labels = [{ y: 10 }, { y: 12 }, { y: 5 }, { y: 80 }];
  spreadApart(labels, 10);
  expect(labels.map(({ y }) => y)).toEqual([5, 15, 25, 80]);
});
