import { expect, test } from "bun:test";
import { Presence } from "../../src/gateway/presence.ts";
import { Replica } from "../../src/nodes/replica.ts";
import { Roster } from "../../src/nodes/roster.ts";
import { Random, testSeed } from "../support/random.ts";
import { user } from "./support.ts";

const names = (presence: Presence): string[] =>
  presence.list().map(({ name }) => name);

test("a diff is taken in once, in its place, and a hole is noticed", () => {
  const presence = new Presence();
  const replica = new Replica(presence);
  replica.apply({ prev: 0, version: 3, joined: [["a", "A"]], left: [] });
  replica.apply({ prev: 3, version: 4, joined: [["b", "B"]], left: ["a"] });
  replica.apply({ prev: 0, version: 3, joined: [["a", "A"]], left: [] });
  expect(names(presence)).toEqual(["B"]);
  expect(replica.behind).toBe(false);
  replica.apply({ prev: 6, version: 9, joined: [["c", "C"]], left: [] });
  expect(names(presence)).toEqual(["B"]);
  expect(replica.behind).toBe(true);
  replica.replace(3, [["z", "Z"]]);
  expect(names(presence)).toEqual(["B"]);
  replica.replace(9, [
    ["b", "Bob"],
    ["c", "C"],
  ]);
  expect(names(presence).toSorted()).toEqual(["Bob", "C"]);
  expect(replica.behind).toBe(false);
});

test("nobody was there before a diff without a predecessor", () => {
  const presence = new Presence();
  const replica = new Replica(presence);
  replica.apply({ prev: 0, version: 1, joined: [["a", "A"]], left: [] });
  // That everybody left, and with what number, was lost.
  replica.apply({ prev: 0, version: 5, joined: [["b", "B"]], left: [] });
  expect(names(presence)).toEqual(["B"]);
});

test("what a roster tells is what happened, whatever came in between", () => {
  const random = new Random(testSeed());
  const roster = new Roster();
  const presence = new Presence();
  const replica = new Replica(presence);
  const entered: string[] = [];
  for (let version = 1; version < 2000; version++) {
    for (let i = random.below(6); i > 0; i--)
      if (entered.length > 0 && random.chance(0.5))
        roster.leave(user(entered.splice(random.below(entered.length), 1)[0]!));
      else {
        const id = random.pick(["a", "b", "c", "d"]);
        entered.push(id);
        roster.join(user(id));
      }
    const change = roster.take();
    const ids = [...new Set(entered)].toSorted();
    expect(Array.from(roster.users(), ({ id }) => id).toSorted()).toEqual(ids);
    if (change)
      replica.apply({
        prev: replica.version,
        version,
        joined: change.joined.map(({ id, name }) => [id, name]),
        left: change.left,
      });
    const there = presence.list().map(({ id }) => id);
    expect(there.toSorted(), `seed ${random.seed}`).toEqual(ids);
  }
});
