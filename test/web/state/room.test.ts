import { describe, expect, test } from "bun:test";
import { RoomState } from "../../../src/web/state/room.ts";
import type { Message } from "../../../src/web/state/timeline.ts";

const ME = "guest:me";
const message = (seq: number, user = "guest:ann", id?: string): Message => ({
  seq,
  from: "Ann",
  user,
  text: `text ${seq}`,
  ts: seq,
  id,
});
const page = (from: number, to: number): Message[] =>
  Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
const ack = (id: string, seq: number) => ({ id, seq, epoch: "E", ts: seq });

function loaded(messages: readonly Message[] = []): RoomState {
  const room = new RoomState("general");
  room.receiveLatest(messages, false, ME);
  return room;
}

test("what is written here is counted, whenever the log shows it", () => {
  const room = loaded();
  room.addOutgoing("a", "hello", 1);
  room.receive(message(1, ME, "a"), ME, true);
  room.acked(ack("a", 1));
  expect(room.outgoing).toEqual([]);
  expect(room.written).toBe(1);
});

describe("unread messages", () => {
  test("a room seen for the first time counts as read", () => {
    expect(loaded(page(1, 50)).unread).toBe(0);
  });

  test("live messages of others count, own ones do not", () => {
    const room = loaded(page(1, 3));
    room.receive(message(4), ME, false);
    room.receive(message(5, ME), ME, false);
    room.receive(message(6), ME, false);
    expect(room.unread).toBe(2);
    expect(room.markRead()).toBe(true);
    expect(room.unread).toBe(0);
    expect(room.read).toBe(6);
    expect(room.markRead()).toBe(false);
  });

  test("what came after the last visit counts, and is marked when the room is opened", () => {
    const room = new RoomState("general");
    room.read = 10;
    room.receiveLatest([...page(8, 12), message(13, ME)], true, ME);
    expect(room.unread).toBe(2);
    expect(room.unreadMore).toBe(false);
    room.open();
    expect(room.divider).toBe(10);
    room.setAside();
    expect(room.divider).toBeUndefined();
  });

  test("more than was loaded is told", () => {
    const room = new RoomState("general");
    room.read = 10;
    room.receiveLatest(page(101, 200), true, ME);
    expect(room.unread).toBe(100);
    expect(room.unreadMore).toBe(true);
  });

  test("nothing is read before it is loaded", () => {
    const room = new RoomState("general");
    room.receive(message(7), ME, false);
    expect(room.markRead()).toBe(false);
    expect(room.read).toBeUndefined();
  });
});

describe("own messages", () => {
  test("wait until the log shows them", () => {
    const room = loaded();
    room.addOutgoing("a", "hello", 1);
    expect(room.outgoing).toMatchObject([{ id: "a", state: "pending" }]);
    room.receive(message(1, ME, "a"), ME, false);
    expect(room.outgoing).toEqual([]);
    room.acked(ack("a", 1));
    expect(room.outgoing).toEqual([]);
  });

  test("an ack before the log holds them until the log has come that far", () => {
    const room = loaded();
    room.addOutgoing("a", "hello", 1);
    room.acked(ack("a", 2));
    expect(room.outgoing).toMatchObject([{ id: "a", state: "sent", seq: 2 }]);
    room.receive(message(1), ME, false);
    expect(room.outgoing.length).toBe(1);
    room.receive(message(2, ME, "a"), ME, false);
    expect(room.outgoing).toEqual([]);
  });

  test("an ack of what the log has shown already takes them away", () => {
    const room = loaded(page(1, 5));
    room.addOutgoing("a", "hello", 1);
    room.acked(ack("a", 4));
    expect(room.outgoing).toEqual([]);
  });

  test("another user's message of the same id takes nothing away", () => {
    const room = loaded();
    room.addOutgoing("a", "hello", 1);
    room.receive(message(1, "guest:ann", "a"), ME, false);
    expect(room.outgoing.length).toBe(1);
  });

  test("failed ones can be tried again, with the same key, or be discarded", () => {
    const room = loaded();
    room.addOutgoing("a", "hello", 1);
    room.addOutgoing("b", "there", 2);
    room.failed("a", "No.");
    expect(room.outgoing[0]).toMatchObject({ state: "failed", problem: "No." });
    expect(room.retry("b", 3)).toBeUndefined();
    expect(room.retry("a", 3)).toMatchObject({
      id: "a",
      text: "hello",
      state: "pending",
    });
    expect(room.outgoing.map(({ id }) => id)).toEqual(["b", "a"]);
    room.removeOutgoing("b");
    expect(room.outgoing.map(({ id }) => id)).toEqual(["a"]);
  });

  test("only so many wait", () => {
    const room = loaded();
    for (let i = 0; i < 200; i++)
      expect(room.addOutgoing(`${i}`, "x", i)).toBeDefined();
    expect(room.addOutgoing("one more", "x", 0)).toBeUndefined();
    expect(room.outgoing.length).toBe(200);
  });

  test("another history of the server leaves what was not acknowledged", () => {
    const room = loaded(page(1, 5));
    room.addOutgoing("a", "hello", 1);
    room.addOutgoing("b", "there", 2);
    room.acked(ack("a", 6));
    room.forget();
    expect(room.outgoing.map(({ id }) => id)).toEqual(["b"]);
    expect(room.timeline.count).toBe(0);
  });
});

describe("typing", () => {
  test("ends when told, with a message, and by itself", () => {
    const room = loaded();
    room.typing("guest:a", "Ann", true, 0);
    room.typing("guest:b", "Bob", true, 0);
    room.typing("guest:c", "Mia", true, 3_000);
    room.typing("guest:a", "Ann", false, 10);
    room.receive(message(1, "guest:b"), ME, false);
    expect([...room.typists.values()].map(({ name }) => name)).toEqual(["Mia"]);
    expect(room.expireTyping(8_999)).toBe(false);
    expect(room.expireTyping(9_000)).toBe(true);
    expect(room.typists.size).toBe(0);
  });

  test("holds only so many", () => {
    const room = loaded();
    for (let i = 0; i < 500; i++) room.typing(`guest:${i}`, "X", true, 0);
    expect(room.typists.size).toBe(50);
  });
});

test("a room that is not looked at holds little, and a run that ends early is loaded anew", () => {
  const room = loaded();
  room.open();
  room.receiveLatest(page(1, 3_000), false, ME);
  room.setAside();
  expect(room.timeline.count).toBeLessThanOrEqual(150);
  expect(room.loaded).toBe("yes");
  room.timeline.moreAfter = true;
  room.setAside();
  expect(room.timeline.count).toBe(0);
  expect(room.loaded).toBe("no");
});
