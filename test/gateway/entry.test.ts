import { expect, test } from "bun:test";
import type { RoomEvent } from "../../src/broker/broker.ts";
import { eventEntry, noteEntry, toMessage } from "../../src/gateway/entry.ts";
import type { Codec } from "../../src/protocol/codec.ts";
import { CODECS } from "../../src/protocol/codecs.ts";
import { json } from "../../src/protocol/json.ts";
import { text } from "../../src/protocol/text.ts";

const event: RoomEvent = {
  room: "general",
  seq: 7,
  prev: 6,
  user: "guest:1",
  from: "Bob",
  text: "Hi",
  ts: 1000,
  id: "a1",
  data: { a: 1 },
  dataBytes: 7,
  target: 0,
};

test("an event is told without prev where that is the seq before, with it otherwise", () => {
  expect(toMessage(event)).toEqual({
    action: "receive_message",
    room: "general",
    seq: 7,
    from: "Bob",
    user: "guest:1",
    text: "Hi",
    ts: 1000,
    id: "a1",
    data: { a: 1 },
  });
  expect(toMessage({ ...event, prev: 5 }).prev).toBe(5);
  expect(toMessage({ ...event, seq: 1, prev: 0 }).prev).toBeUndefined();
});

test("an entry is encoded once per codec, also where that shows nothing", () => {
  let encoded = 0;
  const counting = (codec: Codec): Codec => ({
    ...codec,
    encode: (message) => (encoded++, codec.encode(message)),
  });
  const entry = eventEntry(event, 5);
  const encodes = [0, 0, 0];
  for (const codec of CODECS) {
    const counted = counting(codec);
    const frame = entry.frame(counted, encodes);
    expect(frame).toEqual(codec.encode(toMessage(event)));
    expect(entry.frame(counted, encodes)).toBe(frame);
  }
  expect(encoded).toBe(CODECS.length);

  const note = noteEntry(
    { action: "members_changed", room: "general", count: 1 },
    5,
  );
  const counted = counting(text);
  expect(note.frame(counted, encodes)).toBeNull();
  expect(note.frame(counted, encodes)).toBeNull();
  expect(encoded).toBe(CODECS.length + 1);
  // What a format does not show makes no frame.
  expect(encodes).toEqual([1, 1, 1]);
});

test("an event has its position and time; a note has no position", () => {
  const entry = eventEntry(event, 5);
  expect([entry.seq, entry.prev, entry.at]).toEqual([7, 6, 5]);
  const note = noteEntry(
    { action: "typing", room: "r", user: "u", from: "n", active: true },
    6,
  );
  expect([note.seq, note.prev, note.at]).toEqual([0, 0, 6]);
});

test("a longer text counts for more bytes, at least what its JSON takes", () => {
  const long = eventEntry({ ...event, text: "x".repeat(5000) }, 0);
  expect(long.bytes).toBeGreaterThanOrEqual(
    (long.frame(json, [0, 0, 0]) as string).length,
  );
  expect(eventEntry(event, 0).bytes).toBeLessThan(long.bytes);
});
