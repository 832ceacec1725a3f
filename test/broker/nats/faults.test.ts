import { describe, expect, test } from "bun:test";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { Random, testSeed } from "../../support/random.ts";
import { underLoad } from "./load.ts";
import { freshPrefix, openBroker } from "./support.ts";

tellSkipped("faults of NATS under load");

const ROOMS = ["red", "green", "blue room"];

/** What happens to a cluster of three, and how it ends. */
const FAULTS: readonly {
  readonly name: string;
  readonly replicas: number;
  readonly servers: number;
  readonly fault: (
    servers: NatsServers,
    stream: string,
    random: Random,
  ) => Promise<void>;
}[] = [
  {
    name: "the stream's leader is killed and comes back",
    servers: 3,
    replicas: 3,
    async fault(servers, stream, random) {
      const leader = await servers.leaderOf(stream);
      await leader.kill();
      await Bun.sleep(random.below(2000));
      leader.start();
    },
  },
  {
    name: "a server stops and goes on",
    servers: 3,
    replicas: 3,
    async fault(servers, _stream, random) {
      const server = random.pick(servers.servers);
      server.signal("SIGSTOP");
      await Bun.sleep(1000 + random.below(5000));
      server.signal("SIGCONT");
    },
  },
  {
    name: "the stream's leader stops and goes on",
    servers: 3,
    replicas: 3,
    async fault(servers, stream, random) {
      const leader = await servers.leaderOf(stream);
      leader.signal("SIGSTOP");
      await Bun.sleep(2000 + random.below(4000));
      leader.signal("SIGCONT");
    },
  },
  {
    name: "all of NATS is restarted",
    servers: 3,
    replicas: 3,
    async fault(servers, _stream, random) {
      await Promise.all(servers.servers.map((server) => server.kill()));
      await Bun.sleep(random.below(2000));
      for (const server of servers.servers) server.start();
    },
  },
  {
    name: "the only server is killed and comes back",
    servers: 1,
    replicas: 1,
    async fault(servers, _stream, random) {
      await servers.servers[0]!.kill();
      await Bun.sleep(random.below(4000));
      servers.servers[0]!.start();
    },
  },
];

describe.skipIf(!natsServer)("under load with two brokers", () => {
  test.each(FAULTS)("$name", async ({ servers: count, replicas, fault }) => {
    const random = new Random(testSeed());
    await using servers = await NatsServers.start(count);
    const prefix = freshPrefix();
    await using one = await openBroker(servers, { prefix, replicas });
    await using two = await openBroker(servers, { prefix, replicas });
    expect(two.broker.epoch).toBe(one.broker.epoch);
    const refused = await underLoad([one, two], ROOMS, random, () =>
      fault(servers, `${prefix}-0`, random),
    );
    console.log(
      `${one.delivered.length} events, ${refused} refusals, seed ${random.seed}`,
    );
  });
});
