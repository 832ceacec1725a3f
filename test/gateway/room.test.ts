import { expect, test } from "bun:test";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { RingBudget } from "../../src/gateway/ring.ts";
import { Room } from "../../src/gateway/room.ts";

const HOUR_MS = 3_600_000;

function newRoom(): Room {
  const config = loadConfig(parseCommandLine([]), {});
  return new Room("a", config, new RingBudget(config.ringBytes));
}

test("who is ahead of a room waits until its head is there", async () => {
  const room = newRoom();
  const seen: number[] = [];
  const waits = [3, 5, 4].map(async (seq) => {
    expect(await room.reach(seq, HOUR_MS)).toBe(true);
    seen.push(seq);
  });
  room.advance(2);
  await Promise.resolve();
  expect(seen).toEqual([]);
  room.advance(4);
  await Promise.all([waits[0], waits[2]]);
  expect(seen.toSorted()).toEqual([3, 4]);
  room.advance(7);
  await waits[1];
  expect(seen).toHaveLength(3);
});

test("who is not ahead waits for nothing", async () => {
  const room = newRoom();
  room.advance(4);
  expect(await room.reach(4, HOUR_MS)).toBe(true);
});

test("what does not come in time is given up, and others wait on", async () => {
  const room = newRoom();
  const other = room.reach(9, HOUR_MS);
  expect(await room.reach(9, 1)).toBe(false);
  room.advance(9);
  expect(await other).toBe(true);
});
