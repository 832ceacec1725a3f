import { describe, expect, test } from "bun:test";
import { WideRoster, type Asked } from "../../src/nodes/wide-roster.ts";

const NOBODY = { count: 0, members: [] };
const ann = { id: "ann", name: "Ann" };
const bob = { id: "bob", name: "Bob" };

/** A node that knows one room, among others who answer something. */
function node(
  others: Record<string, unknown>,
  missing: string[] = [],
): Asked & { asked: number } {
  const here: Asked & { asked: number } = {
    asked: 0,
    up: true,
    nodes: [...Object.keys(others), ...missing],
    connections: () => 1,
    rooms: () => [{ room: "b", users: 2 }],
    membersAfter: (room) =>
      room === "b" ? { count: 2, members: [ann, bob] } : NOBODY,
    async broadcast(question) {
      here.asked++;
      const own =
        question.act === "rooms"
          ? here.rooms("", 9)
          : here.membersAfter("", "", 9);
      return {
        replies: new Map(Object.entries({ own, ...others })),
        missing,
      };
    },
  };
  return here;
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "none",
    ({ code }) => code,
  );

describe("rooms of all nodes", () => {
  test("are each told once, in order, with the users that somebody knows of", async () => {
    const others = {
      one: [
        { room: "a", users: 1 },
        { room: "b", users: 3 },
      ],
      two: [{ room: "c", users: 1 }],
    };
    const roster = new WideRoster(node(others));
    expect(await roster.rooms("", 10)).toEqual([
      { room: "a", users: 1 },
      { room: "b", users: 3 },
      { room: "c", users: 1 },
    ]);
    expect(await roster.rooms("a", 1)).toEqual([{ room: "b", users: 3 }]);
  });

  test("are not told where a node is silent, fails, or is of an earlier version", async () => {
    for (const here of [
      node({ one: [] }, ["two"]),
      node({ one: { error: "no" } }),
      node({ one: 0 }),
      { ...node({ one: [] }), up: false },
    ])
      expect(await failure(new WideRoster(here).rooms("", 10))).toBe(
        "unavailable",
      );
  });
});

describe("members", () => {
  test("are those that are known here, and nobody is asked", async () => {
    const here = node({}, ["silent"]);
    const { count } = await new WideRoster(here).membersAfter("b", "", 10);
    expect([count, here.asked]).toEqual([2, 0]);
  });

  test("of a room that nobody here is in are those that another one knows", async () => {
    const here = node({
      one: NOBODY,
      two: { count: 1, members: [ann] },
      three: { count: 2, members: [ann, bob] },
    });
    const roster = new WideRoster(here);
    expect(await roster.membersAfter("x", "", 10)).toEqual({
      count: 2,
      members: [ann, bob],
    });
    expect(
      await failure(
        new WideRoster(node({ one: NOBODY }, ["two"])).membersAfter("x", "", 1),
      ),
    ).toBe("unavailable");
  });
});
