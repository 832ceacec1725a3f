import { expect, test } from "bun:test";
import fc from "fast-check";
import { roomToken, Subjects } from "../../../src/broker/nats/subjects.ts";

/** Names as the protocol allows them: 1 to 128 bytes of UTF-8. */
const roomName = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 128 })
  .filter((name) => Buffer.byteLength(name) <= 128);

test("a readable name stays as it is", () => {
  expect(roomToken("general")).toBe("general");
  expect(roomToken("Team_7-b")).toBe("Team_7-b");
});

test.each([
  [".", "=2E"],
  ["a b", "a=20b"],
  ["*", "=2A"],
  [">", "=3E"],
  ["=2E", "=3D2E"],
  ["ü", "=C3=BC"],
])("%p is the token %p", (name, token) => expect(roomToken(name)).toBe(token));

test("every name is one token that NATS takes literally, of at most three bytes for one", () => {
  fc.assert(
    fc.property(roomName, (name) => {
      const token = roomToken(name);
      expect(token).toMatch(/^[A-Za-z0-9_=-]+$/);
      expect(token.length).toBeLessThanOrEqual(3 * Buffer.byteLength(name));
    }),
  );
});

test("no two names share a token: it can be read back", () => {
  fc.assert(
    fc.property(roomName, (name) => {
      const read = decodeURIComponent(
        roomToken(name).replaceAll("%", "%25").replaceAll("=", "%"),
      );
      expect(read).toBe(name);
    }),
  );
});

// Events would be looked for in another stream than they are in.
test("the stream of a room never changes", () => {
  const subjects = new Subjects("p", 5);
  expect(
    ["general", "a", "b", "room 1", "ü"].map(
      (room) => subjects.place(room).index,
    ),
  ).toEqual([0, 0, 4, 1, 2]);
});

test("rooms spread over the streams", () => {
  const subjects = new Subjects("p", 4);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 4000; i++) counts[subjects.place(`room ${i}`).index]!++;
  for (const count of counts) expect(count).toBeGreaterThan(850);
});

test("a room's subjects are those of its stream", () => {
  const subjects = new Subjects("chat", 3);
  const place = subjects.place("a.b");
  expect(place).toEqual({
    room: "a.b",
    index: place.index,
    stream: `chat-${place.index}`,
    subject: `chat.room.${place.index}.a=2Eb`,
    live: "chat.live.a=2Eb",
    deleted: `chat.deleted.${place.index}.a=2Eb`,
  });
  expect(subjects.stored(place.index)).toBe(`chat.room.${place.index}.*`);
  expect(subjects.notes(place.index, "*")).toBe(
    `chat.deleted.${place.index}.*.*.*`,
  );
});
