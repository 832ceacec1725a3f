import { expect, test } from "bun:test";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import type { RoomEvent } from "../../src/broker/broker.ts";
import { eventEntry, noteEntry } from "../../src/gateway/entry.ts";
import { RingBudget } from "../../src/gateway/ring.ts";
import { Room } from "../../src/gateway/room.ts";
import { CODECS } from "../../src/protocol/codecs.ts";
import { unpack } from "../../src/protocol/msgpack.ts";

const HOUR_MS = 3_600_000;

const MESSAGE: RoomEvent = {
  room: "a",
  seq: 1,
  prev: 0,
  user: "u",
  from: "U",
  text: "what is said",
  ts: 1000,
  id: undefined,
  data: undefined,
  dataBytes: 0,
  target: 0,
};

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

test("a deleted message is taken out of what waits for slices, and out of the ring", () => {
  const room = newRoom();
  const entries = [4, 6, 7].map((seq) =>
    eventEntry({ ...MESSAGE, seq, prev: seq - 1 }, 0),
  );
  const note = noteEntry({ action: "members_changed", room: "a", count: 1 }, 0);
  for (const entry of entries) {
    room.ring.push(entry);
    room.pending.push(entry);
    room.pending.push(note);
  }
  // Encoded already, by one who was quicker.
  for (const codec of CODECS) entries[1]!.frame(codec, [0, 0, 0]);
  entries[1]!.settle();
  const { life } = room;
  room.bury(6);
  const tombstone = {
    action: "message_deleted",
    room: "a",
    seq: 6,
    target: 6,
    ts: MESSAGE.ts,
  };
  for (const entry of [room.pending.at(2), room.ring.range(5, 6)![0]!]) {
    const [json, msgpack, text] = CODECS.map((codec) =>
      entry.frame(codec, [0, 0, 0]),
    );
    expect(JSON.parse(json as string)).toEqual(tombstone);
    expect(unpack(msgpack as Uint8Array)).toEqual(tombstone);
    expect(text).toBeNull();
  }
  for (const entry of [entries[0]!, entries[2]!])
    expect(entry.frame(CODECS[0]!, [0, 0, 0])).toContain(MESSAGE.text);
  expect(note.message.action).toBe("members_changed");
  // What was read before is of another life.
  expect(room.life).not.toBe(life);
  expect(newRoom().life).not.toBe(room.life);
  // Of what is not here there is nothing to bury.
  room.bury(5);
  room.bury(99);
  expect(room.ring.range(6, 7)![0]!.seq).toBe(7);
});
