import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { BrokerError, type Draft } from "../../src/broker/broker.ts";
import { NatsBroker } from "../../src/broker/nats/nats.ts";
import { NatsServers } from "../../test/support/nats.ts";

/**
 * `bun run bench/special/nats-broker.ts [servers] [streams]`: the NATS broker beside the bare JetStream client, which
 * publishes the same messages with an id each and hears them live, in the same run and process. All in turns, twice.
 */

const ROOMS = 100;
const TEXT = "x".repeat(100);
const BUSY = 256;

interface Contender {
  readonly name: string;
  /** Sends one message; `done` is called when it is stored, and was heard. */
  send(room: number, done: () => void): void;
  close(): Promise<void>;
}

async function bare(
  servers: NatsServers,
  replicas: number,
  streams: number,
): Promise<Contender> {
  const nc = await connect({
    servers: servers.servers.map(({ port }) => `127.0.0.1:${port}`),
    noAsyncTraces: true,
  });
  const jsm = await jetstreamManager(nc);
  for (let i = 0; i < streams; i++)
    await jsm.streams.add({
      name: `bare-${i}`,
      subjects: [`bare.room.${i}.*`],
      num_replicas: replicas,
      allow_direct: true,
      duplicate_window: 600_000e6,
      republish: { src: `bare.room.${i}.*`, dest: "bare.live.{{wildcard(1)}}" },
    });
  let heard = 0;
  nc.subscribe("bare.live.*", { callback: () => void heard++ });
  await nc.flush();
  const js = jetstream(nc);
  const body = JSON.stringify({ user: "u1", from: "Bob", text: TEXT });
  let ids = 0;
  return {
    name: "bare client",
    send(room, done) {
      void js
        .publish(`bare.room.${room % streams}.room-${room}`, body, {
          msgID: `id-${++ids}`,
        })
        .then(done);
    },
    async close() {
      if (heard < ids * 0.99) console.log(`heard only ${heard} of ${ids}`);
      await nc.close();
    },
  };
}

async function ours(
  servers: NatsServers,
  replicas: number,
  streams: number,
): Promise<Contender> {
  const broker = await NatsBroker.open<undefined>(
    {
      urls: servers.urls,
      creds: "",
      ca: "",
      prefix: "ours",
      streams,
      replicas,
      retentionMs: Infinity,
      retentionEventsPerRoom: Infinity,
      dedupeWindowMs: 600_000,
      maxInFlight: 1024,
      maxInFlightBytes: 8 * 1024 * 1024,
      maxUnsettled: 20_000,
      timeoutMs: 5000,
    },
    () => {},
    { tell: console.log, onEnd: console.log },
  );
  const drafts = await Promise.all(
    Array.from({ length: ROOMS }, async (_, i): Promise<Draft> => {
      await broker.subscribe(`room-${i}`);
      return {
        room: `room-${i}`,
        user: "u1",
        from: "Bob",
        text: TEXT,
        id: undefined,
        data: undefined,
        dataJson: undefined,
      };
    }),
  );
  let ids = 0;
  return {
    name: "NATS broker",
    send(room, done) {
      broker.publish(
        { ...drafts[room]!, id: `id-${++ids}` },
        undefined,
        (_draft, _origin, outcome) => {
          if (outcome instanceof BrokerError) throw outcome;
          done();
        },
      );
    },
    close: () => broker.close(),
  };
}

/** @param room of the nth message */
async function measure(
  { name, send }: Contender,
  inFlight: number,
  count: number,
  room: (n: number) => number,
  what: string,
): Promise<void> {
  const times: number[] = [];
  const cpu = process.cpuUsage();
  const start = performance.now();
  await new Promise<void>((resolve) => {
    let sent = 0;
    let done = 0;
    const next = (): void => {
      const at = performance.now();
      send(room(sent++), () => {
        times.push(performance.now() - at);
        if (++done === count) resolve();
        else if (sent < count) next();
      });
    };
    for (let i = 0; i < inFlight; i++) next();
  });
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    times[Math.floor(times.length * share)]!.toFixed(2);
  console.log(
    `${name.padEnd(12)} ${what.padEnd(26)} ${Math.round(count / seconds)
      .toLocaleString("en")
      .padStart(
        7,
      )}/s  p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  ${((user + system) / count).toFixed(1)} µs of CPU each`,
  );
}

const [count, streams] = [process.argv[2] ?? 1, process.argv[3] ?? 1].map(
  Number,
) as [number, number];
await using servers = await NatsServers.start(count);
const replicas = count;
const contenders = [
  await bare(servers, replicas, streams),
  await ours(servers, replicas, streams),
];
console.log(`${count} servers, ${replicas} replicas, ${streams} streams`);
for (let round = 0; round < 2; round++)
  for (const contender of contenders) {
    await measure(contender, 1, 1500, (n) => n % ROOMS, "one at a time");
    await measure(
      contender,
      BUSY,
      40_000,
      (n) => n % ROOMS,
      `${BUSY} in flight, 100 rooms`,
    );
    await measure(
      contender,
      BUSY,
      20_000,
      () => 0,
      `${BUSY} in flight, one room`,
    );
  }
for (const contender of contenders) await contender.close();
