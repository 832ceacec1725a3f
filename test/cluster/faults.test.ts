import {
  afterAll,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { Client, type Message } from "../support/client.ts";
import {
  natsServer,
  NatsServers,
  tellSkipped,
  type NatsServer,
} from "../support/nats.ts";
import { Random, testSeed } from "../support/random.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";
import { Cluster } from "./cluster.ts";
import { Load, within } from "./load.ts";
import { said } from "./said.ts";

/**
 * Two gateway processes on three NATS servers, three replicas, clients that come back at either gateway, and what happens to
 * such machines. A longer soak: `ROOMCAST_TEST_ROUNDS=20 bun test test/cluster/faults.test.ts`.
 */

tellSkipped("faults of two gateways on three NATS servers");
/** Faults in a run. */
const ROUNDS = Number(process.env.ROOMCAST_TEST_ROUNDS ?? 1);
/** A round waits for NATS to choose leaders, twice at worst; what waits for ever is told long before. */
setDefaultTimeout(60_000 + ROUNDS * 4 * 60_000);

interface Scene {
  readonly cluster: Cluster;
  readonly nats: NatsServers;
  readonly load: Load;
  readonly random: Random;
}

/** What happens, to its end: afterwards everything runs again. */
type Fault = (scene: Scene) => Promise<void>;

const FAULTS = {
  "a stream's leader is killed": async ({ cluster, nats, load, random }) => {
    const leader = await cluster.aLeader(random);
    await leader.kill();
    // Sometimes it is back before another one leads, sometimes only long after.
    if (random.chance(0.5)) await load.progress(1);
    leader.start();
    await nats.answer();
  },
  "a NATS server stops and goes on": async ({ cluster, load, random }) => {
    const server = await aServer(cluster, random);
    server.signal("SIGSTOP");
    try {
      if (random.chance(0.7)) await load.progress(1);
      else await Bun.sleep(random.below(3000));
    } finally {
      server.signal("SIGCONT");
    }
  },
  "a NATS server is cut off": async ({ cluster, nats, load, random }) => {
    const server = await aServer(cluster, random);
    nats.cutOff(server, random.chance(0.5));
    try {
      // Also who is at a gateway whose NATS server is cut off: that gateway goes to another one.
      if (random.chance(0.5)) await load.progress(1);
      else await Bun.sleep(random.below(12_000));
    } finally {
      nats.reconnect(server);
    }
  },
  "a gateway is killed": async ({ cluster, load, random }) => {
    const node = random.pick(cluster.nodes);
    expect(await node.end("SIGKILL")).not.toBe(0);
    if (random.chance(0.5)) await load.progress(3);
    await node.start();
  },
  "all of NATS is restarted": async ({ nats, random }) => {
    await Promise.all(nats.servers.map((server) => server.kill()));
    await Bun.sleep(random.below(3000));
    for (const server of nats.servers) server.start();
    await nats.answer();
  },
} satisfies Record<string, Fault>;

/** Mostly one that leads a stream. */
function aServer(cluster: Cluster, random: Random): Promise<NatsServer> {
  return random.chance(0.6)
    ? cluster.aLeader(random)
    : Promise.resolve(random.pick(cluster.nats.servers));
}

const RUNS: readonly {
  readonly name: string;
  readonly streams: number;
  /** How often, in a run of one round. */
  readonly times: number;
  readonly faults: readonly Fault[];
}[] = [
  ...Object.entries(FAULTS).map(([name, fault], i) => ({
    name,
    // Rooms in one stream, or spread over several with leaders of their own.
    streams: i % 2 ? 4 : 1,
    times: fault === FAULTS["a gateway is killed"] ? 3 : 1,
    faults: [fault],
  })),
  {
    name: "all kinds of faults, in any order",
    streams: 4,
    times: 2,
    faults: Object.values(FAULTS),
  },
];

let nats: NatsServers;
beforeAll(async () => {
  if (natsServer) nats = await NatsServers.startSeverable(3);
});
afterAll(() => nats?.[Symbol.asyncDispose]());

describe.skipIf(!natsServer)("nothing is lost, doubled or turned round", () => {
  test.each(RUNS)("$name", async ({ streams, times, faults }) => {
    const random = new Random(testSeed());
    await using cluster = await Cluster.start(nats, { streams });
    await using load = await Load.start(cluster, random);
    const scene = { cluster, nats, load, random };
    for (let round = 0; round < ROUNDS * times; round++) {
      await load.aWhile();
      const fault = random.pick(faults);
      load.happened.push(fault.name);
      await fault(scene);
      await load.progress(5);
    }
    await load.finish();
    expect(load.resumes).toBeGreaterThan(0);
  });
});

test.skipIf(!natsServer)(
  "gateways that start in the same moment on a new cluster make its streams together",
  async () => {
    using folder = new TempFolder();
    const start = (): Promise<ServerProcess> =>
      ServerProcess.start(
        folder.path,
        ...["--nats", nats.urls, "--nats-prefix", "together"],
        ...["--nats-streams", "8", "--nats-replicas", "3"],
      );
    const starts = await Promise.allSettled([start(), start(), start()]);
    await using servers = new AsyncDisposableStack();
    for (const started of starts)
      if (started.status === "fulfilled") servers.use(started.value);
    const epochs = new Set<string>();
    for (const started of starts) {
      if (started.status === "rejected") throw started.reason;
      using client = await Client.connect(started.value.url);
      epochs.add((await client.join("a")).epoch);
    }
    expect(epochs.size).toBe(1);
  },
);

test.skipIf(!natsServer)(
  "a gateway whose NATS server is cut off from the others goes to one that is not, and its clients stay",
  async () => {
    using folder = new TempFolder();
    const start = (urls: string): Promise<ServerProcess> =>
      ServerProcess.start(
        folder.path,
        ...["--nats", urls, "--nats-prefix", "moves", "--nats-replicas", "3"],
      );
    // Of the others it hears from this one.
    const [own] = nats.servers;
    await using server = await start(own!.url);
    using ann = await Client.connect(server.url);
    const { epoch, seq } = await ann.join("a");
    await said(ann, "a", "before");
    nats.cutOff(own!, true);
    try {
      await within(said(ann, "a", "meanwhile"), () => "for a NATS server");
    } finally {
      nats.reconnect(own!);
    }
    await said(ann, "a", "after");
    await using other = await start(nats.urls);
    using bob = await Client.connect(other.url);
    const joined = await bob.join("a", { since: { epoch, seq } });
    const texts = joined.messages.map((m: Message) => m.text);
    expect(texts).toEqual(["before", "meanwhile", "after"]);
    expect(ann.events("a").map(({ text }) => text)).toEqual(texts);
  },
);
