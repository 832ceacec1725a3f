import { expect, test } from "bun:test";
import { FOR_GOOD, type Sanction } from "../../src/data/sanctions-file.ts";
import { Sanctions } from "../../src/gateway/sanctions.ts";

const NOW = 1000;
const ban = (user: string, room = "", until = FOR_GOOD): Sanction => ({
  kind: "ban",
  user,
  room,
  until,
});

test("one holds for its user, in its room or everywhere, until it ends", () => {
  const sanctions = new Sanctions();
  sanctions.set(ban("ann"));
  sanctions.set(ban("bob", "r", NOW + 1));
  const holds = (user: string, room: string, now = NOW): boolean =>
    sanctions.holds("ban", user, room, now);
  expect(holds("ann", "r")).toBe(true);
  expect(holds("ann", "")).toBe(true);
  expect(holds("bob", "r")).toBe(true);
  expect(holds("bob", "r", NOW + 1)).toBe(false);
  expect(holds("bob", "s")).toBe(false);
  expect(holds("bob", "")).toBe(false);
  expect(holds("eve", "r")).toBe(false);
  expect(sanctions.holds("mute", "ann", "r", NOW)).toBe(false);
});

test("a second one takes the first one's place, and is lifted once", () => {
  const sanctions = new Sanctions();
  sanctions.set(ban("ann", "r", NOW + 1));
  sanctions.set(ban("ann", "r", NOW + 9));
  sanctions.set(ban("ann", "s"));
  expect(sanctions.count).toBe(2);
  expect(sanctions.until("ban", "ann", "r")).toBe(NOW + 9);
  expect(sanctions.lift(ban("ann", "r"))).toBe(true);
  expect(sanctions.lift(ban("ann", "r"))).toBe(false);
  expect(sanctions.lift(ban("bob", "r"))).toBe(false);
  expect(sanctions.count).toBe(1);
  expect([...sanctions.all()]).toEqual([ban("ann", "s")]);
});

test("those that have ended are swept, and nothing stays of them", () => {
  const sanctions = new Sanctions();
  const ended = [ban("ann", "r", NOW), ban("bob", "", NOW - 1)];
  for (const sanction of [...ended, ban("ann", "s", NOW + 1)])
    sanctions.set(sanction);
  sanctions.sweep(NOW);
  expect(sanctions.count).toBe(1);
  expect([...sanctions.all()]).toEqual([ban("ann", "s", NOW + 1)]);
});
