import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  MAX_LISTED_USERS,
  Presence,
  presenceDelay,
} from "../../src/gateway/presence.ts";
import type { User } from "../../src/protocol/messages.ts";

const user = (id: string | number): User => ({
  id: String(id),
  name: `name ${id}`,
});

test("nobody is there at first, and nothing has changed", () => {
  const presence = new Presence();
  expect(presence.count).toBe(0);
  expect(presence.changed).toBe(false);
  expect(presence.take()).toBeUndefined();
  expect(presence.list()).toEqual([]);
});

describe("what cancels out is no change", () => {
  test("a reconnect", () => {
    const presence = new Presence();
    presence.join(user(1));
    presence.take();
    presence.leave(user(1));
    presence.join(user(1));
    expect(presence.take()).toBeUndefined();
    expect(presence.count).toBe(1);
  });

  test("a short visit", () => {
    const presence = new Presence();
    presence.join(user(1));
    presence.leave(user(1));
    expect(presence.take()).toBeUndefined();
  });

  test("but leaving, coming and leaving again is leaving once", () => {
    const presence = new Presence();
    presence.join(user(1));
    presence.take();
    presence.leave(user(1));
    presence.join(user(1));
    presence.leave(user(1));
    expect(presence.take()).toEqual({ joined: [], left: [user(1)], count: 0 });
  });
});

test("a user's further connections are no change", () => {
  const presence = new Presence();
  presence.join(user(1));
  presence.take();
  presence.join(user(1));
  presence.leave(user(1));
  expect(presence.changed).toBe(false);
  expect(presence.count).toBe(1);
  presence.leave(user(1));
  expect(presence.take()).toEqual({ joined: [], left: [user(1)], count: 0 });
});

test("a change that was taken is not told again", () => {
  const presence = new Presence();
  presence.join(user(1));
  expect(presence.changed).toBe(true);
  expect(presence.take()?.joined).toEqual([user(1)]);
  expect(presence.changed).toBe(false);
  expect(presence.take()).toBeUndefined();
});

test("who is not there cannot leave", () => {
  const presence = new Presence();
  presence.leave(user(1));
  expect(presence.count).toBe(0);
  expect(presence.take()).toBeUndefined();
});

test("lists and changes name 200 users at most, while the count is exact", () => {
  const presence = new Presence();
  const many = MAX_LISTED_USERS + 50;
  for (let i = 0; i < many; i++) presence.join(user(i));
  expect(presence.list()).toHaveLength(MAX_LISTED_USERS);
  const joined = presence.take()!;
  expect(joined.joined).toHaveLength(MAX_LISTED_USERS);
  expect(joined.count).toBe(many);
  for (let i = 0; i < many; i++) presence.leave(user(i));
  const left = presence.take()!;
  expect(left.left).toHaveLength(MAX_LISTED_USERS);
  expect(left.count).toBe(0);
});

test("it agrees with a count of connections, whoever joins and leaves", () => {
  const operation = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom("join" as const, "leave" as const),
        id: fc.nat({ max: 5 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("take" as const) }),
    },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const presence = new Presence();
      const connections = new Map<string, number>();
      const present = (): Set<string> => new Set(connections.keys());
      let told = present();
      const ids = (users: readonly User[]): Set<string> =>
        new Set(users.map((u) => u.id));
      for (const step of [...operations, { kind: "take" as const }]) {
        if (step.kind === "take") {
          const now = present();
          const joined = now.difference(told);
          const left = told.difference(now);
          const change = presence.take();
          if (joined.size + left.size === 0) expect(change).toBeUndefined();
          else {
            expect(ids(change!.joined)).toEqual(joined);
            expect(ids(change!.left)).toEqual(left);
            expect(change!.joined.length + change!.left.length).toBe(
              joined.size + left.size,
            );
            expect(change!.count).toBe(now.size);
          }
          told = now;
          continue;
        }
        const someone = user(step.id);
        const before = connections.get(someone.id) ?? 0;
        if (step.kind === "join") {
          presence.join(someone);
          connections.set(someone.id, before + 1);
        } else {
          presence.leave(someone);
          if (before > 1) connections.set(someone.id, before - 1);
          else connections.delete(someone.id);
        }
        expect(presence.count).toBe(connections.size);
        expect(ids(presence.list())).toEqual(present());
      }
    }),
    { numRuns: 300 },
  );
});

test("changes wait longer in larger rooms: from 50 ms to 2 s, never less for more users", () => {
  expect(presenceDelay(0)).toBe(50);
  expect(presenceDelay(4000)).toBe(1000);
  expect(presenceDelay(1_000_000)).toBe(2000);
  for (let users = 1; users < 10_000; users++)
    expect(presenceDelay(users)).toBeGreaterThanOrEqual(
      presenceDelay(users - 1),
    );
});
