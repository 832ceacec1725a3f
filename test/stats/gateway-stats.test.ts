import { expect, test } from "bun:test";
import { addStats } from "../../src/stats/add.ts";
import { GatewayStats } from "../../src/stats/gateway-stats.ts";

/** As it crosses between threads. */
const crossed = (stats: GatewayStats): GatewayStats =>
  JSON.parse(JSON.stringify(stats)) as GatewayStats;

test("figures of several gateways add up, each with its own kind", () => {
  const one = new GatewayStats();
  one.eventsIn = 3;
  one.deliveries[1]! += 5;
  one.error("too_large", "max_text_bytes");
  one.deliveryUs.record(100);
  const other = new GatewayStats();
  other.eventsIn = 4;
  other.deliveries[1]! += 1;
  other.error("too_large", "max_data_bytes");
  // A code that the first one has never seen.
  other.error("of_tomorrow");
  other.deliveryUs.record(100);

  const sum = new GatewayStats();
  addStats(sum, crossed(one));
  addStats(sum, crossed(other));
  expect(sum.eventsIn).toBe(7);
  expect(sum.deliveries).toEqual([0, 6, 0]);
  expect(sum.errors).toMatchObject({ too_large: 2, of_tomorrow: 1 });
  expect(sum.refused).toMatchObject({ max_text_bytes: 1, max_data_bytes: 1 });
  expect(sum.deliveryUs.sum).toBe(200);
  expect(Math.max(...sum.deliveryUs.counts)).toBe(2);
  // What was added is not changed by what is added later.
  expect(one.eventsIn).toBe(3);
});

test("however many codes there were, only so many are told", () => {
  const stats = new GatewayStats();
  for (let i = 0; i < 1000; i++) stats.error(`code-${i}`);
  expect(Object.keys(stats.errors).length).toBeLessThan(100);
});
