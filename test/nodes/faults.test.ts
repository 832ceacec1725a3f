import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  natsServer,
  NatsServer,
  NatsServers,
  tellSkipped,
} from "../support/nats.ts";
import { ChildNode } from "./child-node.ts";
import { LossyProxy } from "./lossy-proxy.ts";
import { eventually, freshPrefix, TestNode } from "./support.ts";
import { TwoServers } from "./two-servers.ts";

tellSkipped("faults of nodes that share a directory");
setDefaultTimeout(60_000);

describe.skipIf(!natsServer)("nodes", () => {
  test.concurrent("a killed node's users are gone everywhere", async () => {
    await using servers = await NatsServers.start(1);
    const prefix = freshPrefix();
    await using one = await TestNode.open(servers.urls, prefix);
    await using two = await TestNode.open(servers.urls, prefix);
    await using child = await ChildNode.start(servers.urls, prefix);
    await child.enter("r", "cid");
    await child.enter("r", "ann");
    await one.enter("r", "ann");
    await two.enter("r", "bob");
    for (const node of [one, two]) await node.sees("r", "ann", "bob", "cid");
    await child.kill();
    for (const node of [one, two]) {
      await node.until(() => node.told.at(-1)!.change.left!.length > 0);
      const { left, count } = node.told.at(-1)!.change;
      expect([left!.map(({ id }) => id), count]).toEqual([["cid"], 2]);
      expect(node.ids("r")).toEqual(["ann", "bob"]);
      expect(node.directory.totals()).toEqual({ connections: 2, users: 2 });
    }
  });

  test.concurrent(
    "a stopped node's users are gone, and back when it goes on",
    async () => {
      await using servers = await NatsServers.start(1);
      const prefix = freshPrefix();
      await using one = await TestNode.open(servers.urls, prefix);
      await using child = await ChildNode.start(servers.urls, prefix);
      await child.enter("r", "cid");
      const ann = await one.enter("r", "ann");
      await one.sees("r", "ann", "cid");
      child.signal("SIGSTOP");
      await one.sees("r", "ann");
      // It is not told of this before it goes on; joins do not wait for it.
      one.exit("r", ann);
      await one.enter("r", "bob");
      await one.enter("s", "bob");
      child.signal("SIGCONT");
      await one.sees("r", "bob", "cid");
      for (;;) {
        const ids = await child.ids("r");
        if (ids.join() === "bob,cid") break;
        await Bun.sleep(20);
      }
      await child.enter("s", "cid");
      await one.sees("s", "bob", "cid");
    },
  );

  test.concurrent(
    "a lost diff is made up for, also if it was the last",
    async () => {
      await using servers = await NatsServers.start(1);
      await using proxy = await LossyProxy.start(servers.servers[0]!.port);
      const prefix = freshPrefix();
      await using one = await TestNode.open(proxy.url, prefix);
      await using two = await TestNode.open(servers.urls, prefix);
      await two.enter("r", "bob");
      const ann = await one.enter("r", "ann");
      await two.sees("r", "ann", "bob");

      // A hole: the next diff shows it.
      proxy.loses = (subject, body) =>
        subject.includes(".node.room.") && body.includes("cid");
      await one.enter("r", "cid");
      await eventually(() => proxy.lost === 1);
      await one.enter("r", "dan");
      await two.sees("r", "ann", "bob", "cid", "dan");

      // The last one: nothing but a beat tells.
      proxy.loses = (subject) => subject.includes(".node.room.");
      one.exit("r", ann);
      await eventually(() => proxy.lost === 2);
      await two.sees("r", "bob", "cid", "dan");

      // The beat that would have told, too: the one after it has a number too many.
      let beats = 0;
      proxy.loses = (subject) =>
        subject.includes(".node.room.") ||
        (subject.includes(".node.beat.") && beats++ === 0);
      await one.enter("r", "eve");
      await two.sees("r", "bob", "cid", "dan", "eve");
      expect(beats).toBeGreaterThan(1);

      // A room that everybody left, and users online.
      proxy.loses = (subject) => /\.node\.(room|online)\./.test(subject);
      await two.enter("s", "bob");
      const zoe = await one.enter("s", "zoe");
      await two.sees("s", "bob", "zoe");
      await eventually(() => two.directory.users === 5);
      one.exit("s", zoe);
      await two.sees("s", "bob");
      await eventually(() => two.directory.users === 4);
    },
  );

  test.concurrent(
    "while NATS is gone everybody is admitted; nobody seems to leave; all is well when it is back",
    async () => {
      await using servers = await NatsServers.start(1);
      const prefix = freshPrefix();
      await using one = await TestNode.open(servers.urls, prefix);
      await using two = await TestNode.open(servers.urls, prefix);
      const ann = await one.enter("r", "ann");
      await two.enter("r", "bob");
      await one.sees("r", "ann", "bob");
      await servers.servers[0]!.kill();
      await one.enter("r", "cid");
      await one.enter("new", "ann");
      one.exit("r", ann);
      expect(one.ids("r")).toEqual(["bob", "cid"]);
      expect(one.ids("new")).toEqual(["ann"]);
      const guest = await two.come({ kind: "guest", name: undefined });
      expect(guest.user!.name).toStartWith("user");
      await two.enter("new", "bob");
      servers.servers[0]!.start();
      await two.sees("r", "bob", "cid");
      await two.sees("new", "ann", "bob");
      await one.sees("new", "ann", "bob");
      const left = [...one.told, ...two.told].flatMap(({ change }) =>
        change.left!.map(({ id }) => id),
      );
      expect(new Set(left)).toEqual(new Set(["ann"]));
    },
  );

  test.concurrent(
    "a cut between two NATS servers parts the rooms; mended, they are whole again",
    async () => {
      await using two = await TwoServers.start();
      const prefix = freshPrefix();
      const [a, b] = two.servers;
      await using one = await TestNode.open(a.url, prefix);
      await using other = await TestNode.open(b.url, prefix);
      await one.enter("r", "ann");
      await other.enter("r", "bob");
      for (const node of [one, other]) await node.sees("r", "ann", "bob");
      two.cut();
      await one.sees("r", "ann");
      await other.sees("r", "bob");
      expect([one.directory.users, other.directory.users]).toEqual([1, 1]);
      await one.enter("r", "cid");
      await other.enter("s", "dan");
      await one.enter("s", "cid");
      two.mend();
      for (const node of [one, other]) {
        await node.sees("r", "ann", "bob", "cid");
        await node.sees("s", "cid", "dan");
        await eventually(() => node.directory.users === 4);
      }
    },
  );

  test.concurrent(
    "nodes of a stopped NATS server go on at another one",
    async () => {
      await using servers = await NatsServers.start(3);
      const prefix = freshPrefix();
      const [a, b] = servers.servers as [NatsServer, NatsServer];
      // It learns of the others from the one it knows.
      await using one = await TestNode.open(a.url, prefix);
      await using two = await TestNode.open(b.url, prefix);
      await one.enter("r", "ann");
      await two.enter("r", "bob");
      await one.sees("r", "ann", "bob");
      a.signal("SIGSTOP");
      await one.enter("r", "cid");
      await two.sees("r", "ann", "bob", "cid");
      await two.enter("r", "dan");
      await one.sees("r", "ann", "bob", "cid", "dan");
      a.signal("SIGCONT");
      await two.enter("r", "eve");
      await one.sees("r", "ann", "bob", "cid", "dan", "eve");
    },
  );
});
