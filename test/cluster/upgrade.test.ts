import { expect, setDefaultTimeout, test } from "bun:test";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { Random, testSeed } from "../support/random.ts";
import { Cluster } from "./cluster.ts";
import { Load } from "./load.ts";

tellSkipped("a rolling upgrade of two gateways");
setDefaultTimeout(120_000);

/** Upgrades of both gateways. */
const TIMES = 2;

test.skipIf(!natsServer)(
  "a rolling upgrade under load loses nothing, doubles nothing, and no client gets an error",
  async () => {
    const random = new Random(testSeed());
    await using nats = await NatsServers.start(1);
    await using cluster = await Cluster.start(nats, {
      replicas: 1,
      // In waves, with time for the clients that leave by themselves.
      flags: ["--drain-grace-ms", "300", "--drain-timeout-ms", "5000"],
    });
    await using load = await Load.start(cluster, random);
    for (let i = 0; i < TIMES; i++)
      for (const node of cluster.nodes) {
        await load.progress(3);
        expect(await node.end("SIGTERM"), `seed ${random.seed}`).toBe(0);
        await node.start();
      }
    await load.progress(3);
    await load.finish();
    // The store was there all the time: a gateway that leaves settles what it took.
    expect(load.refusals).toBe(0);
    expect(load.resumes).toBeGreaterThan(TIMES * cluster.nodes.length);
  },
);
