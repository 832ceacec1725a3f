import {
  afterAll,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { FOR_GOOD, type Sanction } from "../../src/data/sanctions-file.ts";
import type { Order } from "../../src/gateway/orders.ts";
import { Sanctions, SanctionsFull } from "../../src/gateway/sanctions.ts";
import type { Look } from "../../src/nodes/commands.ts";
import {
  SharedSanctions,
  type SharedSanctionsTrial,
} from "../../src/nodes/shared-sanctions.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { Proxy } from "../support/proxy.ts";
import { eventually, freshPrefix, TestNode } from "./support.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

tellSkipped("bans and mutes in NATS");

const ban = (user: string, until = FOR_GOOD, room = ""): Sanction => ({
  kind: "ban",
  user,
  room,
  until,
});

/** A node's sanctions, and what was carried out there. */
class Keeper implements AsyncDisposable {
  readonly orders: Order[] = [];
  readonly told: string[] = [];
  sanctions!: SharedSanctions;

  private constructor(readonly node: TestNode) {}

  /** @param tells whom it tells of what it wrote */
  static async open(
    urls: string,
    prefix: string,
    tells: () => readonly Keeper[],
    trial: SharedSanctionsTrial = {},
  ): Promise<Keeper> {
    const keeper = new Keeper(await TestNode.open(urls, prefix));
    const all = async ({ seq }: Look): Promise<number> => {
      let reached = 0;
      for (const { sanctions } of tells()) reached += await sanctions.look(seq);
      return reached;
    };
    keeper.sanctions = new SharedSanctions(
      keeper.node.directory.sanctions,
      all,
      (message) => keeper.told.push(message),
      trial,
    );
    await keeper.sanctions.load();
    keeper.sanctions.attach(new Sanctions(), {
      carryOut: (order) => keeper.orders.push(order),
    });
    return keeper;
  }

  get list(): Sanction[] {
    return [...this.sanctions.list.all()].toSorted((a, b) =>
      a.user.localeCompare(b.user),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sanctions.close();
    await this.node.directory.close();
  }
}

describe.skipIf(!natsServer)("sanctions of several nodes", () => {
  let servers: NatsServers;
  let nc: NatsConnection;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
    nc = await connect({ servers: servers.urls.slice(7) });
  });
  afterAll(async () => {
    await nc?.close();
    await servers?.[Symbol.asyncDispose]();
  });

  const stored = async (prefix: string): Promise<Record<string, number>> => {
    const jsm = await jetstreamManager(nc);
    const { state } = await jsm.streams.info(`${prefix}-state`, {
      subjects_filter: `${prefix}.state.sanction.*`,
    });
    return state.subjects ?? {};
  };

  test("a node that was not told finds out by itself, each change once", async () => {
    const prefix = freshPrefix();
    const told: Keeper[] = [];
    await using one = await Keeper.open(servers.urls, prefix, () => told);
    await using two = await Keeper.open(servers.urls, prefix, () => told);
    told.push(one);
    await one.sanctions.impose(ban("ann"));
    await one.sanctions.impose(ban("bob", FOR_GOOD, "r"));
    expect(one.list).toEqual([ban("ann"), ban("bob", FOR_GOOD, "r")]);
    await eventually(() => two.list.length === 2);
    // It reads before it answers that there is one.
    await two.sanctions.impose(ban("eve"));
    expect(await two.sanctions.lift(ban("eve"))).toBe(true);
    expect(await two.sanctions.lift(ban("eve"))).toBe(false);
    expect(await one.sanctions.lift(ban("ann"))).toBe(true);
    await eventually(() => two.list.length === 1);
    for (const { list, orders } of [one, two]) {
      expect(list).toEqual([ban("bob", FOR_GOOD, "r")]);
      for (const user of ["ann", "bob"])
        expect(
          orders.filter(
            (order) => order.act === "sanction" && order.user === user,
          ),
        ).toHaveLength(user === "ann" ? 2 : 1);
    }
    expect(told.flatMap((keeper) => keeper.told)).toEqual([]);
  });

  test("of two that write at once all nodes end with the same one", async () => {
    const prefix = freshPrefix();
    const all: Keeper[] = [];
    for (let i = 0; i < 3; i++)
      all.push(await Keeper.open(servers.urls, prefix, () => all));
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        all[i % 3]!.sanctions.impose(ban(`u${i % 4}`, FOR_GOOD - i)),
      ),
    );
    const [one, two, three] = all.map(({ list }) => list);
    expect(one).toHaveLength(4);
    expect(two).toEqual(one!);
    expect(three).toEqual(one!);
    await using late = await Keeper.open(servers.urls, prefix, () => all);
    expect(late.list).toEqual(one!);
    for (const keeper of all) await keeper[Symbol.asyncDispose]();
  });

  test("what was lifted or has ended leaves the stream, and what holds does not", async () => {
    const prefix = freshPrefix();
    const all: Keeper[] = [];
    await using one = await Keeper.open(servers.urls, prefix, () => all, {
      keptMs: 0,
    });
    await using two = await Keeper.open(servers.urls, prefix, () => all, {
      keptMs: 0,
    });
    all.push(one, two);
    const end = Date.now() + 50;
    await one.sanctions.impose(ban("ann"));
    await one.sanctions.impose(ban("bob"));
    await one.sanctions.impose(ban("eve", end));
    await two.sanctions.lift(ban("ann"));
    expect(Object.keys(await stored(prefix))).toHaveLength(3);
    while (Date.now() <= end) await Bun.sleep(10);
    // The first finds that it has ended.
    for (const { sanctions } of [one, two, one, two]) await sanctions.sweep();
    expect(Object.keys(await stored(prefix))).toHaveLength(1);
    // It can come again.
    await two.sanctions.impose(ban("ann"));
    for (const { list, sanctions } of all) {
      expect(list).toEqual([ban("ann"), ban("bob")]);
      await sanctions.sweep();
    }
    expect(Object.keys(await stored(prefix))).toHaveLength(2);
  });

  test("a node that was away learns what was lifted, though nothing tells of it any more", async () => {
    await using way = await Proxy.start(servers.servers[0]!.port);
    const prefix = freshPrefix();
    const all: Keeper[] = [];
    const urls = `nats://127.0.0.1:${way.port}`;
    await using one = await Keeper.open(urls, prefix, () => all);
    all.push(one);
    // More than one batch of a read.
    for (let i = 0; i < 600; i += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, k) =>
          one.sanctions.impose(ban(`u${i + k}`)),
        ),
      );
    expect(one.list).toHaveLength(600);
    way.refuse(true);
    way.cut();
    await eventually(() => !one.node.directory.sanctions.up);
    const [gone] = Object.keys(await stored(prefix));
    const jsm = await jetstreamManager(nc);
    await jsm.streams.purge(`${prefix}-state`, { filter: gone! });
    way.refuse(false);
    await eventually(() => one.list.length === 599);
    expect(one.orders.at(-1)).toMatchObject({ act: "sanction", until: 0 });
  });

  test("there are no more than may be, what waits for its removal included", async () => {
    const prefix = freshPrefix();
    const all: Keeper[] = [];
    const trial = { keptMs: 0, max: 2 };
    await using one = await Keeper.open(servers.urls, prefix, () => all, trial);
    all.push(one);
    const { sanctions } = one;
    const refused = (): Promise<unknown> =>
      sanctions.impose(ban("eve")).catch((error) => error);
    await sanctions.impose(ban("ann"));
    await sanctions.impose(ban("bob"));
    expect(await refused()).toBeInstanceOf(SanctionsFull);
    // In the place of what is there.
    await sanctions.impose(ban("bob", FOR_GOOD - 1));
    await sanctions.lift(ban("ann"));
    expect(await refused()).toBeInstanceOf(SanctionsFull);
    await sanctions.sweep();
    expect(await refused()).toBeNumber();
    expect(one.list).toEqual([ban("bob", FOR_GOOD - 1), ban("eve")]);
  });

  test("what is not understood is passed over", async () => {
    const prefix = freshPrefix();
    const all: Keeper[] = [];
    await using one = await Keeper.open(servers.urls, prefix, () => all);
    all.push(one);
    const js = jetstream(nc);
    for (const body of ["", "{", "null", '{"kind":"kick","user":"x"}'])
      await js.publish(`${prefix}.state.sanction.x`, body);
    await one.sanctions.impose(ban("ann"));
    expect(one.list).toEqual([ban("ann")]);
    await js.publish(`${prefix}.state.sanction.y`, "[]");
    await using two = await Keeper.open(servers.urls, prefix, () => all);
    expect(two.list).toEqual([ban("ann")]);
  });

  test("a stream made before there were sanctions gets a place for them", async () => {
    const prefix = freshPrefix();
    const jsm = await jetstreamManager(nc);
    await jsm.streams.add({
      name: `${prefix}-state`,
      subjects: [`${prefix}.state.*`],
      max_msgs_per_subject: 1,
      metadata: { "roomcast-state": "1" },
    });
    const all: Keeper[] = [];
    await using one = await Keeper.open(servers.urls, prefix, () => all);
    all.push(one);
    expect(await one.sanctions.impose(ban("ann"))).toBe(1);
  });
});
