import { expect, test } from "bun:test";
import { RecentIds } from "../../../src/broker/nats/recent-ids.ts";

test("ids are known until NATS forgets them", () => {
  const ids = new RecentIds(10, 1000);
  ids.add("a", 1, 5000);
  expect(ids.get("a", 5999)).toEqual({ seq: 1, ts: 5000 });
  expect(ids.get("a", 6000)).toBeUndefined();
  // Then it is another message's.
  ids.add("a", 9, 6100);
  expect(ids.get("a", 6200)).toEqual({ seq: 9, ts: 6100 });
  expect(ids.get("b", 6200)).toBeUndefined();
});

test("the first message of an id counts", () => {
  const ids = new RecentIds(10, 1000);
  ids.add("a", 1, 5000);
  ids.add("a", 2, 5001);
  expect(ids.get("a", 5001)).toEqual({ seq: 1, ts: 5000 });
});

test("more than may be kept are forgotten, the earliest first", () => {
  const ids = new RecentIds(3, 1000);
  for (const [i, key] of ["a", "b", "c", "d", "e"].entries())
    ids.add(key, i, 5000);
  const known = ["a", "b", "c", "d", "e"].filter((key) => ids.get(key, 5000));
  expect(known).toEqual(["c", "d", "e"]);
});

test("none are kept where nobody asks", () => {
  const ids = new RecentIds(0, 1000);
  ids.add("a", 1, 5000);
  expect(ids.none).toBe(true);
  expect(ids.get("a", 5000)).toBeUndefined();
});
