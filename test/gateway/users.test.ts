import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GuestCounter, Users } from "../../src/gateway/users.ts";
import type { User } from "../../src/protocol/messages.ts";

const newUsers = (): Users => new Users(new GuestCounter(0, () => {}));

describe("who is online", () => {
  test("counts once, with however many connections", () => {
    const users = newUsers();
    const bob: User = { id: "1", name: "Bob" };
    users.connected(bob);
    users.connected(bob);
    users.connected({ id: "2", name: "Bob" });
    expect(users.count).toBe(2);
    users.disconnected(bob);
    expect(users.count).toBe(2);
    users.disconnected(bob);
    expect(users.count).toBe(1);
  });

  test("agrees with a list of connections", () => {
    const operation = fc.record({ connect: fc.boolean(), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(operation), (operations) => {
        const users = newUsers();
        const connections: User[] = [];
        for (const { connect, pick } of operations) {
          if (connect) {
            const user = { id: String(pick % 5), name: `n${pick % 5}` };
            users.connected(user);
            connections.push(user);
          } else if (connections.length > 0) {
            const [gone] = connections.splice(pick % connections.length, 1);
            users.disconnected(gone!);
          }
          expect(users.count).toBe(new Set(connections.map((u) => u.id)).size);
        }
      }),
    );
  });
});

describe("a guest", () => {
  test("gets the name it asked for, and an id that no other has", () => {
    const users = newUsers();
    const guests = Array.from({ length: 100 }, () => users.guest("Bob"));
    expect(guests.every((guest) => guest.name === "Bob")).toBe(true);
    expect(new Set(guests.map((guest) => guest.id)).size).toBe(100);
    for (const { id } of guests) expect(id).toMatch(/^guest:[\w-]{16}$/);
  });

  test("without a name is user0, then user1, and so on", () => {
    const users = newUsers();
    const names = [1, 2, 3].map(() => users.guest(undefined).name);
    expect(names).toEqual(["user0", "user1", "user2"]);
  });

  test("gets a name that a user was counted under, whatever its other connections called it", () => {
    const users = newUsers();
    const [first, second] = ["user0", "Bob"].map((name) => ({ id: "1", name }));
    users.connected(first!);
    users.connected(second!);
    users.disconnected(first!);
    users.disconnected(second!);
    expect(users.guest(undefined).name).toBe("user0");
  });

  test("never gets an automatic name that somebody online has", () => {
    const users = newUsers();
    const early: User = { id: "1", name: "user0" };
    users.connected(early);
    users.connected({ id: "2", name: "user0" });
    users.connected({ id: "3", name: "user2" });
    users.disconnected(early);
    expect(users.guest(undefined).name).toBe("user1");
    expect(users.guest(undefined).name).toBe("user3");
  });

  test("may get a name whose last owner has left", () => {
    const users = newUsers();
    const early: User = { id: "1", name: "user0" };
    users.connected(early);
    users.connected(early);
    users.disconnected(early);
    users.disconnected(early);
    expect(users.guest(undefined).name).toBe("user0");
  });
});

describe("the guest counter", () => {
  test("never gives a number twice, across kills and clean ends", () => {
    const operation = fc.oneof(
      fc.record({ take: fc.integer({ min: 1, max: 150 }) }),
      fc.record({ end: fc.constantFrom("kill" as const, "close" as const) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        let saved = 0;
        const start = (): GuestCounter =>
          new GuestCounter(saved, (next) => {
            saved = next;
          });
        let counter = start();
        const given: number[] = [];
        for (const step of operations) {
          if ("take" in step)
            for (let i = 0; i < step.take; i++) given.push(counter.take());
          else {
            if (step.end === "close") counter.close();
            counter = start();
          }
        }
        for (let i = 1; i < given.length; i++)
          expect(given[i]!).toBeGreaterThan(given[i - 1]!);
      }),
    );
  });

  test("goes on without a hole after a clean end", () => {
    let saved = 0;
    const save = (next: number): void => {
      saved = next;
    };
    const first = new GuestCounter(saved, save);
    for (let i = 0; i < 100; i++) first.take();
    first.close();
    expect(new GuestCounter(saved, save).take()).toBe(100);
  });

  test("is written down now and then, not for each number", () => {
    const saves: number[] = [];
    const counter = new GuestCounter(0, (next) => saves.push(next));
    for (let i = 0; i < 640; i++) counter.take();
    expect(saves).toHaveLength(10);
    counter.close();
    expect(saves).toHaveLength(10);
  });

  test("that gave no number writes none", () => {
    const saves: number[] = [];
    new GuestCounter(7, (next) => saves.push(next)).close();
    expect(saves).toEqual([]);
  });
});

test("a number is never given twice, also where writing it down failed once", () => {
  let saved = 0;
  let full = true;
  const save = (next: number): void => {
    if (full) throw new Error("ENOSPC");
    saved = next;
  };
  const counter = new GuestCounter(saved, save);
  expect(() => counter.take()).toThrow("ENOSPC");
  expect(() => counter.take()).toThrow("ENOSPC");
  full = false;
  const given = [counter.take(), new GuestCounter(saved, save).take()];
  expect(new Set(given).size).toBe(2);
});
