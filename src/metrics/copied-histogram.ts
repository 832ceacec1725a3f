import type { Metric, Registry } from "prom-client";
import { Histogram } from "../stats/histogram.ts";

export interface CopiedHistogramOptions {
  readonly name: string;
  readonly help: string;
  /** How many of the histogram's units one of the metric is. */
  readonly scale: number;
  /** The first and the last bucket that are told one by one: what lies outside falls together. */
  readonly first: number;
  readonly last: number;
  readonly read: () => Histogram;
}

/**
 * Registers a histogram that is counted elsewhere: prom-client's own has no way to be set. The registry asks of a metric only
 * what this one has.
 */
export function registerHistogram(
  registry: Registry,
  options: CopiedHistogramOptions,
): void {
  const { name, help } = options;
  const copied = {
    name,
    help,
    type: "histogram",
    aggregator: "sum",
    get: async () => ({
      name,
      help,
      type: "histogram",
      values: values(options),
    }),
  };
  registry.registerMetric(copied as unknown as Metric);
}

function values({ name, scale, first, last, read }: CopiedHistogramOptions) {
  const { counts, sum } = read();
  const told: { metricName: string; labels: object; value: number }[] = [];
  const bucket = (le: number | string, value: number): void => {
    told.push({ metricName: `${name}_bucket`, labels: { le }, value });
  };
  let count = 0;
  for (const [index, here] of counts.entries()) {
    count += here;
    if (index >= first && index <= last)
      bucket(Histogram.bound(index) / scale, count);
  }
  bucket("+Inf", count);
  told.push({ metricName: `${name}_sum`, labels: {}, value: sum / scale });
  told.push({ metricName: `${name}_count`, labels: {}, value: count });
  return told;
}
