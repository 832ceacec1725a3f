/** What a measurement yields, as a table: name, unit, which way is better. */
export interface Figure {
  title: string;
  unit: "us" | "ms" | "bytes" | "count" | "per_second";
  better: "less" | "more";
}

const figure = (
  title: string,
  unit: Figure["unit"],
  better: Figure["better"],
): Figure => ({ title, unit, better });

export const FIGURES = {
  cpu_us_per_delivery: figure("CPU µs/delivery", "us", "less"),
  p50_us: figure("p50 ms", "ms", "less"),
  p90_us: figure("p90 ms", "ms", "less"),
  p99_us: figure("p99 ms", "ms", "less"),
  p999_us: figure("p99.9 ms", "ms", "less"),
  max_us: figure("max ms", "ms", "less"),
  ack_p50_us: figure("ack p50 ms", "ms", "less"),
  ack_p99_us: figure("ack p99 ms", "ms", "less"),
  beside_p50_us: figure("large room p50 ms", "ms", "less"),
  beside_p99_us: figure("large room p99 ms", "ms", "less"),
  delivered_per_second: figure("delivered/s", "per_second", "more"),
  // An event is a message, however many it is delivered to.
  cpu_us_per_event: figure("CPU µs/event", "us", "less"),
  nats_us_per_event: figure("NATS CPU µs/event", "us", "less"),
  own_p50_us: figure("own node p50 ms", "ms", "less"),
  own_p99_us: figure("own node p99 ms", "ms", "less"),
  across_p50_us: figure("other node p50 ms", "ms", "less"),
  across_p99_us: figure("other node p99 ms", "ms", "less"),
  published_per_second: figure("publishes/s", "per_second", "more"),
  bytes_per_connection: figure("bytes/connection", "bytes", "less"),
  rss_bytes: figure("memory MiB", "bytes", "less"),
  peak_rss_bytes: figure("peak memory MiB", "bytes", "less"),
  connects_per_second: figure("connects/s", "per_second", "more"),
  connect_cpu_us: figure("CPU µs/connect", "us", "less"),
  connect_p50_us: figure("connect p50 ms", "ms", "less"),
  connect_p99_us: figure("connect p99 ms", "ms", "less"),
  stalled_closed: figure("stalled, closed", "count", "more"),
  resumes_per_second: figure("resumes/s", "per_second", "more"),
  resume_p50_us: figure("resume p50 ms", "ms", "less"),
  resume_p99_us: figure("resume p99 ms", "ms", "less"),
  resume_cpu_us: figure("CPU µs/resume", "us", "less"),
  live_p99_us: figure("live p99 ms", "ms", "less"),
  drain_us: figure("drain ms", "ms", "less"),
  back_p50_us: figure("back p50 ms", "ms", "less"),
  back_max_us: figure("last one back ms", "ms", "less"),
  back_peak_per_second: figure(
    "busiest 0.1 s, resumes/s",
    "per_second",
    "less",
  ),
  back_retries: figure("found nobody", "count", "less"),
  acked: figure("acked", "count", "more"),
  acked_lost: figure("lost", "count", "less"),
  acked_doubled: figure("doubled", "count", "less"),
  acked_reordered: figure("reordered", "count", "less"),
  restart_p50_us: figure("restart p50 ms", "ms", "less"),
  restart_max_us: figure("restart max ms", "ms", "less"),
} as const satisfies Record<string, Figure>;

export type FigureKey = keyof typeof FIGURES;

/** Times are in µs, memory in bytes, whatever the unit they are shown in. */
export type Figures = Partial<Record<FigureKey, number>>;

/** A figure as a table shows it, without its unit. */
export function showFigure(key: FigureKey, value: number): string {
  const { unit, title } = FIGURES[key];
  if (unit === "ms") return significant(value / 1000);
  if (unit === "us") return significant(value);
  if (unit === "bytes" && title.endsWith("MiB"))
    return (value / 1048576).toFixed(1);
  return Math.round(value).toLocaleString("en-US");
}

/** Three significant digits, without an exponent. */
export function significant(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
