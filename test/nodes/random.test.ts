import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Place } from "../../src/gateway/directory.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { Random, testSeed } from "../support/random.ts";
import { ChildNode } from "./child-node.ts";
import { freshPrefix, TestNode } from "./support.ts";

tellSkipped("random runs of nodes");
setDefaultTimeout(120_000);

const ROOMS = ["red", "green", "blue room"];
const USERS = ["a", "b", "c", "d", "e"];

/** What a node's connections have entered. */
class Model {
  readonly entered: { room: string; id: string; place?: Place }[] = [];

  ids(room: string): string[] {
    return this.entered.filter((e) => e.room === room).map(({ id }) => id);
  }
}

describe.skipIf(!natsServer)("three nodes", () => {
  test("hold the same members as a model, whatever happened", async () => {
    const random = new Random(testSeed());
    await using servers = await NatsServers.start(1);
    const prefix = freshPrefix();
    await using one = await TestNode.open(servers.urls, prefix);
    await using two = await TestNode.open(servers.urls, prefix);
    let child = await ChildNode.start(servers.urls, prefix);
    const models = [new Model(), new Model(), new Model()];
    let stopped = false;

    for (let step = 0; step < 400; step++) {
      const fault = random.below(400);
      if (fault === 0 || step === 150) {
        await child.kill();
        models[2] = new Model();
        stopped = false;
        child = await ChildNode.start(servers.urls, prefix);
      } else if (fault < 4 && !stopped) {
        child.signal("SIGSTOP");
        stopped = true;
      } else if (fault < 10 && stopped) {
        child.signal("SIGCONT");
        stopped = false;
      } else if (fault === 10 || step === 300) {
        await servers.servers[0]!.kill();
        await Bun.sleep(random.below(1000));
        servers.servers[0]!.start();
      } else {
        const which = random.below(stopped ? 2 : 3);
        const model = models[which]!;
        const node = [one, two][which];
        if (model.entered.length > 0 && random.chance(0.45)) {
          const at = random.below(model.entered.length);
          const [{ room, id, place }] = model.entered.splice(at, 1) as [
            { room: string; id: string; place: Place },
          ];
          if (node) node.exit(room, place);
          else await child.exit(room, id);
        } else {
          const [room, id] = [random.pick(ROOMS), random.pick(USERS)];
          const place = node
            ? await node.enter(room, id)
            : void (await child.enter(room, id));
          model.entered.push({ room, id, ...(place ? { place } : {}) });
        }
      }
      if (random.chance(0.2)) await Bun.sleep(random.below(60));
    }
    if (stopped) child.signal("SIGCONT");
    // Every node is in every room, so that each sees all of them.
    for (const room of ROOMS) {
      await one.enter(room, "one");
      await two.enter(room, "two");
      await child.enter(room, "three");
    }
    console.log(`random run of nodes: seed ${random.seed}`);
    for (const room of ROOMS) {
      const ids = new Set(models.flatMap((model) => model.ids(room)));
      const all = [...ids, "one", "two", "three"].toSorted();
      await one.sees(room, ...all);
      await two.sees(room, ...all);
      while ((await child.ids(room)).join() !== all.join()) await Bun.sleep(50);
    }
    // And so it stays: what is wrong for good would show in the states that a new node asks for.
    await using four = await TestNode.open(servers.urls, prefix);
    for (const room of ROOMS) {
      await four.enter(room, "one");
      expect(four.ids(room), `seed ${random.seed}`).toEqual(one.ids(room));
      expect(two.ids(room)).toEqual(one.ids(room));
      expect(await child.ids(room)).toEqual(one.ids(room));
    }
    await child.kill();
  });
});
