import { expect, test } from "bun:test";
import type { Lane, Pending } from "../../../src/broker/nats/lane.ts";
import { Lanes } from "../../../src/broker/nats/lanes.ts";
import { Subjects } from "../../../src/broker/nats/subjects.ts";

const subjects = new Subjects("t", 1);

function add(
  lanes: Lanes<string>,
  from: number,
  count: number,
): Lane<string>[] {
  return Array.from({ length: count }, (_, i) =>
    lanes.add(subjects.place(`room-${from + i}`)),
  );
}

const PENDING = {} as Pending<string>;

/** Each of what may be under way in a lane. */
const BUSY: readonly ((lane: Lane<string>) => void)[] = [
  (lane) => lane.sent.add(PENDING),
  (lane) => lane.waiting.push(PENDING),
  (lane) => (lane.troubled = true),
  (lane) => (lane.queued = true),
];

test("lanes that have something to do stay, others up to a bound", () => {
  const lanes = new Lanes<string>();
  const busy = Array.from({ length: 3000 }, (_, i) => {
    const [lane] = add(lanes, i, 1);
    BUSY[i % BUSY.length]!(lane!);
    return lane!;
  });
  add(lanes, 10_000, 50_000);
  for (const lane of busy) expect(lanes.get(lane.place.room)).toBe(lane);
  expect(lanes.size).toBeLessThanOrEqual(2 * busy.length);

  for (const lane of busy) {
    lane.sent.clear();
    lane.waiting.shift();
    lane.troubled = lane.queued = false;
  }
  add(lanes, 100_000, 10_000);
  expect(lanes.size).toBeLessThanOrEqual(1024);
  expect(lanes.size).toBeGreaterThan(1);
});

test("a room's lane is the same while it is there", () => {
  const lanes = new Lanes<string>();
  const [lane] = add(lanes, 0, 1);
  expect(lanes.get("room-0")).toBe(lane!);
  expect(lanes.get("room-1")).toBeUndefined();
});
