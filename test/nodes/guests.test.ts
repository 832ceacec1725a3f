import {
  afterAll,
  beforeAll,
  describe,
  expect,
  test,
  setDefaultTimeout,
} from "bun:test";
import { GuestNumbers } from "../../src/nodes/guest-numbers.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { eventually, freshPrefix, TestNode } from "./support.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

tellSkipped("guests' numbers and the session key in NATS");

const guest = { kind: "guest", name: undefined } as const;

test("without a source guests get far numbers, and the operator is told once", async () => {
  const told: string[] = [];
  const numbers = new GuestNumbers(
    {
      takeNumbers: () => Promise.reject(new Error("gone")),
      giveBack: () => Promise.reject(new Error("gone")),
    },
    (message) => told.push(message),
  );
  await Promise.all(Array.from({ length: 10 }, () => numbers.ready()));
  const far = Array.from({ length: 10 }, () => numbers.take());
  expect(new Set(far).size).toBe(10);
  for (const number of far) expect(number).toBeGreaterThanOrEqual(1e12);
  expect(numbers.ready()).toBeUndefined();
  await numbers.close();
  expect(told).toEqual(["guests get far numbers for a while: gone"]);
});

describe.skipIf(!natsServer)("over NATS", () => {
  let servers: NatsServers;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
  });
  afterAll(() => servers?.[Symbol.asyncDispose]());

  test("automatic names are given once, over all nodes and after all have ended", async () => {
    const prefix = freshPrefix();
    const names: string[] = [];
    for (let run = 0; run < 2; run++) {
      const nodes = await Promise.all(
        [1, 2, 3].map(() => TestNode.open(servers.urls, prefix)),
      );
      // Many at once, so that blocks run out.
      const places = await Promise.all(
        nodes.flatMap((node) =>
          Array.from({ length: 300 }, () => node.come(guest)),
        ),
      );
      names.push(...places.map(({ user }) => user!.name));
      await Promise.all(nodes.map((node) => node.directory.close()));
    }
    expect(new Set(names).size).toBe(1800);
    for (const name of names) expect(name).toMatch(/^user\d{1,6}$/);
  });

  test("a single node goes on where it ended", async () => {
    const prefix = freshPrefix();
    for (const name of ["user0", "user1", "user2"]) {
      await using node = await TestNode.open(servers.urls, prefix);
      expect((await node.come(guest)).user!.name).toBe(name);
    }
  });

  test("a name in use at another node is not given", async () => {
    const prefix = freshPrefix();
    await using one = await TestNode.open(servers.urls, prefix);
    await using two = await TestNode.open(servers.urls, prefix);
    await two.come({ kind: "guest", name: "user0" });
    await eventually(() => one.directory.users === 1);
    expect((await one.come(guest)).user!.name).toBe("user1");
  });

  test("nodes that start together share one session key, and it is kept", async () => {
    const prefix = freshPrefix();
    const nodes = await Promise.all(
      [1, 2, 3].map(() => TestNode.open(servers.urls, prefix)),
    );
    const keys = await Promise.all(
      nodes.map(({ directory }) => directory.sharedSessionKey()),
    );
    await Promise.all(nodes.map(({ directory }) => directory.close()));
    await servers.servers[0]!.kill();
    servers.servers[0]!.start();
    await servers.answer();
    await using later = await TestNode.open(servers.urls, prefix);
    keys.push(await later.directory.sharedSessionKey());
    expect(keys[0]).toHaveLength(32);
    for (const key of keys)
      expect(Buffer.from(key)).toEqual(Buffer.from(keys[0]!));
    await using other = await TestNode.open(servers.urls, freshPrefix());
    expect(await other.directory.sharedSessionKey()).not.toEqual(keys[0]!);
  });
});
