import { describe, expect, test, setDefaultTimeout } from "bun:test";
import {
  BrokerError,
  type Broker,
  type Draft,
} from "../../../src/broker/broker.ts";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { Random, testSeed } from "../../support/random.ts";
import { draft, publish } from "../contract.ts";
import { underLoad, wholeHistory } from "./load.ts";
import { freshPrefix, openBroker } from "./support.ts";

tellSkipped("faults of NATS under load");
// Servers take seconds to start and to choose leaders. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

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
    async fault(servers, stream, random) {
      const server = random.chance(0.5)
        ? await servers.leaderOf(stream)
        : random.pick(servers.servers);
      server.signal("SIGSTOP");
      await Bun.sleep(1000 + random.below(5000));
      server.signal("SIGCONT");
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
    await underLoad([one, two], ROOMS, random, () =>
      fault(servers, `${prefix}-0`, random),
    );
  });

  test("while NATS is gone publishes are answered, and everything goes on when it is back", async () => {
    await using servers = await NatsServers.start(1);
    await using under = await openBroker(servers, { timeoutMs: 3000 });
    const { broker } = under;
    await broker.subscribe("a");
    await publish(broker, draft("a", "before"), "");
    expect(broker.ready).toBe(true);
    await servers.servers[0]!.kill();
    // The first are tried until their time is over: none was sent, or nobody knows.
    const tried = await Promise.all(
      ["1", "2"].map((id) => refused(broker, draft("a", id, { id }))),
    );
    for (const code of tried)
      expect(["unavailable", "outcome_unknown"]).toContain(code);
    expect(broker.ready).toBe(false);
    // Later ones are not even tried.
    let answered = "";
    broker.publish(draft("a", "3"), "", (_draft, _origin, outcome) => {
      if (outcome instanceof BrokerError) answered = outcome.code;
    });
    expect(answered).toBe("unavailable");
    expect(await refused(broker, draft("a", "4"))).toBe("unavailable");
    const reading = broker.read("a", {
      after: 0,
      upto: 10,
      take: "latest",
      limit: 1,
      bytes: 1,
    });
    expect(await reading.catch((error) => error)).toMatchObject({
      code: "unavailable",
    });
    servers.servers[0]!.start();
    await servers.answer();
    while ((await refused(broker, draft("a", "after", { id: "5" }))) !== "")
      await Bun.sleep(50);
    expect(broker.ready).toBe(true);
    const texts = under.delivered.map(({ event }) => event.text);
    expect(texts[0]).toBe("before");
    expect(texts.at(-1)).toBe("after");
    expect((await wholeHistory(under, "a")).map(({ text }) => text)).toEqual(
      texts,
    );
  });

  test("a broker that is closed has settled everything", async () => {
    await using servers = await NatsServers.start(1);
    const prefix = freshPrefix();
    const under = await openBroker(servers, { prefix });
    await under.broker.subscribe("a");
    let settled = 0;
    for (let i = 0; i < 500; i++)
      under.broker.publish(draft("a", `${i}`), "", () => settled++);
    await under.broker.close();
    expect(settled).toBe(500);
    expect(under.delivered).toHaveLength(500);
    await using again = await openBroker(servers, { prefix });
    expect(await wholeHistory(again, "a")).toHaveLength(500);
  });
});

/** @returns the error's code, "" where it was stored */
async function refused(broker: Broker<string>, what: Draft): Promise<string> {
  try {
    await publish(broker, what, "");
    return "";
  } catch (error) {
    return (error as BrokerError).code;
  }
}
