import {
  afterAll,
  beforeAll,
  describe,
  expect,
  test,
  setDefaultTimeout,
} from "bun:test";
import { connect } from "@nats-io/transport-node";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { eventually, freshPrefix, TestNode, user } from "./support.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

tellSkipped("nodes that share a directory over NATS");

describe.skipIf(!natsServer)("several nodes on one NATS", () => {
  let servers: NatsServers;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
  });
  afterAll(() => servers?.[Symbol.asyncDispose]());

  async function open(count: number): Promise<TestNode[]> {
    const prefix = freshPrefix();
    const nodes: TestNode[] = [];
    for (let i = 0; i < count; i++)
      nodes.push(await TestNode.open(servers.urls, prefix));
    return nodes;
  }

  const close = (nodes: TestNode[]): Promise<unknown> =>
    Promise.all(nodes.map((node) => node.directory.close()));

  test("who enters knows the whole room at once", async () => {
    const nodes = await open(3);
    const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
    await one.enter("café room", "ann");
    await two.enter("café room", "bob");
    // No wait: the count is in the reply to a join.
    expect(two.directory.count("café room")).toBe(2);
    await three.enter("café room", "cid");
    expect(three.directory.count("café room")).toBe(3);
    expect(three.ids("café room")).toEqual(["ann", "bob", "cid"]);
    await one.sees("café room", "ann", "bob", "cid");
    await two.sees("café room", "ann", "bob", "cid");
    // Who was there has not come just now.
    await three.until(() => three.told.length > 0);
    expect(three.told).toEqual([
      {
        room: "café room",
        change: { joined: [user("cid")], left: [], count: 3 },
      },
    ]);
    await close(nodes);
  });

  test("another room's and another installation's users are not seen", async () => {
    const [one] = (await open(1)) as [TestNode];
    const [two] = (await open(1)) as [TestNode];
    await one.enter("r", "ann");
    await one.enter("s", "bob");
    await two.enter("r", "cid");
    expect(one.ids("r")).toEqual(["ann"]);
    expect(two.ids("r")).toEqual(["cid"]);
    expect(two.directory.users).toBe(1);
    expect(two.directory.nodes).toEqual([]);
    await close([one, two]);
  });

  test("a user at two nodes is one user, and stays until the last connection ends", async () => {
    const nodes = await open(3);
    const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
    await three.enter("r", "cid");
    const here = await one.enter("r", "ann");
    const there = await two.enter("r", "ann");
    await three.sees("r", "ann", "cid");
    await eventually(() => three.directory.totals().connections === 3);
    expect(three.directory.totals()).toEqual({ connections: 3, users: 2 });
    expect(two.directory.count("r")).toBe(2);
    one.exit("r", here);
    await two.enter("r", "bob");
    await three.sees("r", "ann", "bob", "cid");
    two.exit("r", there);
    await three.sees("r", "bob", "cid");
    const all = three.told.map(({ change }) => change);
    expect(all.flatMap(({ joined }) => joined!.map(({ id }) => id))).toEqual([
      "cid",
      "ann",
      "bob",
    ]);
    expect(all.flatMap(({ left }) => left!.map(({ id }) => id))).toEqual([
      "ann",
    ]);
    await eventually(() => one.directory.users === 2);
    expect(one.directory.usersOnline(["ann", "bob", "cid", "nobody"])).toEqual(
      new Set(["bob", "cid"]),
    );
    await close(nodes);
  });

  test("what comes together is told together, and what cancels out is not told", async () => {
    const nodes = await open(2);
    const [one, two] = nodes as [TestNode, TestNode];
    await one.enter("r", "ann");
    await one.until(() => one.told.length === 1);
    const places = await Promise.all(
      Array.from({ length: 50 }, (_, i) => two.enter("r", `u${i}`)),
    );
    // Comes back before anybody was told.
    two.directory.exit("r", places[0]!);
    void two.directory.enter("r", places[0]!);
    const passing = await two.enter("r", "passing");
    two.exit("r", passing);
    await one.until(() => one.told.length === 2);
    expect(one.told[1]!.change.count).toBe(51);
    expect(one.told[1]!.change.joined).toHaveLength(50);
    expect(one.told[1]!.change.left).toEqual([]);
    await two.enter("r", "last");
    await one.sees("r", ...places.map(({ user }) => user!.id), "ann", "last");
    expect(one.told).toHaveLength(3);
    await close(nodes);
  });

  test("rooms of thousands come in pieces", async () => {
    const nodes = await open(1);
    const [one] = nodes as [TestNode];
    const name = (i: number): string =>
      `${i}-${"long".repeat(12)}`.padEnd(64, "x");
    await Promise.all(
      Array.from({ length: 12_000 }, async (_, i) => {
        const place = await one.come({
          kind: "user",
          user: { id: name(i), name: name(i) },
        });
        await one.directory.enter("big", place);
      }),
    );
    const two = await TestNode.open(servers.urls, one.prefix);
    expect(two.directory.users).toBe(12_000);
    await two.enter("big", "ann");
    expect(two.directory.count("big")).toBe(12_001);
    await one.until(() => one.directory.count("big") === 12_001);
    await close([one, two]);
  });

  test("typing reaches other nodes with members, and not the own ones", async () => {
    const nodes = await open(3);
    const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
    await one.enter("r", "ann");
    await two.enter("r", "bob");
    await one.sees("r", "ann", "bob");
    await three.enter("s", "cid");
    const note = {
      action: "typing",
      room: "r",
      user: "ann",
      from: "ANN",
      active: true,
    } as const;
    one.directory.relay(note);
    await two.until(() => two.notes.length > 0);
    expect(two.notes).toEqual([note]);
    // What was said later has arrived: so what was said before would have.
    const replies = await one.directory.broadcast({
      act: "disconnect",
      user: "x",
    });
    expect(replies.missing).toEqual([]);
    expect([one.notes, three.notes]).toEqual([[], []]);
    await close(nodes);
  });

  test("a command reaches all nodes, and their answers are gathered", async () => {
    const nodes = await open(3);
    const [one] = nodes as [TestNode];
    const command = { act: "disconnect", user: "ann" } as const;
    const { replies, missing } = await one.directory.broadcast(command);
    expect(missing).toEqual([]);
    expect([...replies.keys()].toSorted()).toEqual(
      nodes.map(({ id }) => id).toSorted(),
    );
    for (const { id, commands } of nodes) {
      expect(commands).toEqual([command]);
      expect(replies.get(id)).toBe(1);
    }
    await close(nodes);
  });

  test("what nobody understands is told once, and nothing else", async () => {
    const nodes = await open(2);
    const [one, two] = nodes as [TestNode, TestNode];
    await one.enter("r", "ann");
    const nc = await connect({ servers: servers.urls.slice(7) });
    for (const body of [
      "no JSON",
      "1",
      "{}",
      '{"joined":1}',
      '{"ask":1}',
      '{"ask":1,"scopes":[1]}',
    ])
      for (const what of ["beat", "online", "room.r", "all", `to.${one.id}`])
        nc.publish(`${one.prefix}.node.${what}.${two.id}`, body);
    nc.publish(
      `${one.prefix}.node.online.${two.id}`,
      JSON.stringify({ prev: 0, version: 1e6, joined: 7, left: [] }),
    );
    await nc.flush();
    await two.enter("r", "bob");
    await one.sees("r", "ann", "bob");
    expect(one.messages).toHaveLength(1);
    await nc.close();
    await close(nodes);
  });

  test("a node that ends in good order is gone at once", async () => {
    // With this it could only be noticed by its goodbye.
    const nodes = await open(1);
    const [one] = nodes as [TestNode];
    const two = await TestNode.open(servers.urls, one.prefix, {
      deadAfterMs: 1e9,
    });
    await two.enter("r", "bob");
    await one.enter("r", "ann");
    await two.sees("r", "ann", "bob");
    await one.directory.close();
    await two.sees("r", "bob");
    expect(two.directory.totals()).toEqual({ connections: 1, users: 1 });
    expect(two.directory.nodes).toEqual([]);
    await two.directory.close();
  });
});
