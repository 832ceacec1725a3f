import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { parseArgs } from "node:util";
import { BrokerError, type Draft } from "../../src/broker/broker.ts";
import { NatsBroker } from "../../src/broker/nats/nats.ts";
import {
  encodeHistogram,
  newHistogram,
  quantiles,
  recordUs,
} from "../load/histogram.ts";
import { sampleProcesses } from "../load/process-stats.ts";
import type { Published } from "./publish.ts";

/**
 * Publishes to a NATS that runs, hears what it published, and prints what that took as JSON:
 *
 *     bun run bench/special/nats-broker.ts --nats nats://127.0.0.1:4222 --contender bare|broker
 *
 * `bare` is the JetStream client alone, `broker` what a gateway uses. The scenario `cluster` runs both.
 */

const { values } = parseArgs({
  options: {
    nats: { type: "string", default: "nats://127.0.0.1:4222" },
    contender: { type: "string", default: "broker" },
    "nats-streams": { type: "string", default: "1" },
    "nats-replicas": { type: "string", default: "1" },
    "in-flight": { type: "string", default: "256" },
    rooms: { type: "string", default: "256" },
    bytes: { type: "string", default: "64" },
    warmup: { type: "string", default: "2" },
    seconds: { type: "string", default: "4" },
    /** Of NATS, for its CPU time. */
    pid: { type: "string", default: "" },
  },
});
const streams = Number(values["nats-streams"]);
const replicas = Number(values["nats-replicas"]);
const rooms = Array.from(
  { length: Number(values.rooms) },
  (_, i) => `room-${i}`,
);
const text = "x".repeat(Number(values.bytes));

interface Contender {
  /** Sends one message; `done` is called when it is stored, and heard where the contender knows that. */
  send(room: number, done: () => void): void;
  /** Messages that came live. */
  heard(): number;
  close(): Promise<void>;
}

async function bare(): Promise<Contender> {
  const nc = await connect({
    servers: values.nats.split(",").map((url) => new URL(url).host),
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
  const body = JSON.stringify({ user: "u1", from: "Bob", text });
  let ids = 0;
  return {
    send(room, done) {
      void js
        .publish(`bare.room.${room % streams}.${rooms[room]}`, body, {
          msgID: `id-${++ids}`,
        })
        .then(done, fail);
    },
    heard: () => heard,
    close: () => nc.close(),
  };
}

async function broker(): Promise<Contender> {
  let heard = 0;
  const opened = await NatsBroker.open<undefined>(
    {
      urls: values.nats,
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
      recentIds: 0,
    },
    () => void heard++,
    { tell: console.error, onEnd: fail },
  );
  const drafts = await Promise.all(
    rooms.map(async (room): Promise<Draft> => {
      await opened.subscribe(room);
      return {
        room,
        user: "u1",
        from: "Bob",
        text,
        id: undefined,
        data: undefined,
        dataJson: undefined,
      };
    }),
  );
  let ids = 0;
  return {
    send(room, done) {
      opened.publish(
        { ...drafts[room]!, id: `id-${++ids}` },
        undefined,
        (_draft, _origin, outcome) =>
          outcome instanceof BrokerError ? fail(outcome) : done(),
      );
    },
    heard: () => heard,
    close: () => opened.close(),
  };
}

function fail(why: unknown): never {
  console.error(why);
  process.exit(1);
}

/** A window of the run: what was done, and what it took. */
function usage(done: number) {
  const pids = values.pid === "" ? [] : values.pid.split(",").map(Number);
  return {
    at: performance.now(),
    done,
    cpu: process.cpuUsage(),
    nats: sampleProcesses(pids).cpu_ms,
  };
}

async function measure({ send, heard }: Contender): Promise<Published> {
  const times = newHistogram();
  let sent = 0;
  let done = 0;
  let measuring = false;
  let stopping = false;
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const next = (): void => {
    const at = performance.now();
    send(sent++ % rooms.length, () => {
      if (measuring) recordUs(times, (performance.now() - at) * 1000);
      done++;
      if (!stopping) next();
      else if (done === sent) resolve();
    });
  };
  for (let i = 0; i < Number(values["in-flight"]); i++) next();
  await Bun.sleep(Number(values.warmup) * 1000);
  measuring = true;
  const first = usage(done);
  await Bun.sleep(Number(values.seconds) * 1000);
  const last = usage(done);
  measuring = false;
  stopping = true;
  await over;
  // What the client alone published may still be on its way back.
  const deadline = performance.now() + 2000;
  while (heard() < sent && performance.now() < deadline) await Bun.sleep(10);

  const count = last.done - first.done;
  const { user, system } = last.cpu;
  const { p50, p99 } = quantiles(times);
  return {
    published_per_second: (count * 1000) / (last.at - first.at),
    cpu_us: (user + system - first.cpu.user - first.cpu.system) / count,
    nats_cpu_us: ((last.nats - first.nats) * 1000) / count,
    p50_us: p50,
    p99_us: p99,
    latency: encodeHistogram(times),
    sent,
    heard: heard(),
  };
}

const contender = await (values.contender === "bare" ? bare() : broker());
console.log(JSON.stringify(await measure(contender)));
await contender.close();
