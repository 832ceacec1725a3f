/**
 * What the directory over NATS costs: memory for each user at another node, and messages and CPU for changes in rooms.
 * `bun run bench/special/nodes.ts` (needs nats-server)
 */
import { connect } from "@nats-io/transport-node";
import { AdmissionCount } from "../../src/gateway/admission.ts";
import { isRefused, type Place } from "../../src/gateway/directory.ts";
import {
  DEAD_AFTER_MS,
  NodeDirectory,
} from "../../src/nodes/node-directory.ts";
import { newNodeId } from "../../src/nodes/subjects.ts";
import { NatsServers } from "../../test/support/nats.ts";

const USERS = 50_000;
const ROOMS = 1000;
const SECONDS = 5;

const open = (urls: string): Promise<NodeDirectory> =>
  NodeDirectory.open(
    {
      urls,
      prefix: "bench",
      node: newNodeId(),
      creds: "",
      ca: "",
      replicas: 1,
      deadAfterMs: DEAD_AFTER_MS,
    },
    new AdmissionCount(Infinity, Infinity),
    { presenceChanged() {}, note() {} },
    { tell: console.error, onEnd: console.error, onCommand() {} },
  );

async function enter(
  node: NodeDirectory,
  room: string,
  id: string,
): Promise<Place> {
  const user = { id: `guest:${id.padStart(16, "0")}`, name: `user${id}` };
  const place = await node.admit("::1", { kind: "user", user });
  if (isRefused(place)) throw new Error(place.message);
  await node.enter(room, place);
  return place;
}

/** The other node, in a process of its own: fills one room, or makes rooms change. */
async function other(urls: string, task: string): Promise<void> {
  const node = await open(urls);
  if (task === "fill")
    for (let i = 0; i < USERS; i++) await enter(node, "big", `${i}`);
  else {
    const places = [];
    for (let i = 0; i < ROOMS; i++)
      places.push(await enter(node, `room-${i}`, `${i}`));
    console.log("ready");
    // Somebody else comes to each room, or goes, once a second.
    const extra: (Place | undefined)[] = [];
    for (let i = 0; ; i = (i + 1) % ROOMS) {
      const room = `room-${i}`;
      const there = extra[i];
      if (there) {
        node.exit(room, there);
        node.leave(there);
        extra[i] = undefined;
      } else extra[i] = await enter(node, room, `x${i}`);
      if (i % (ROOMS / 100) === 0) await Bun.sleep(10);
    }
  }
  console.log("ready");
  // Until it is killed.
  await new Promise(() => {});
}

async function started(urls: string, task: string): Promise<Bun.Subprocess> {
  const child = Bun.spawn([process.execPath, import.meta.path, urls, task], {
    stdout: "pipe",
    stderr: "inherit",
  });
  await child.stdout.getReader().read();
  return child;
}

function heap(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

if (process.argv[3]) await other(process.argv[2]!, process.argv[3]);
else {
  await using servers = await NatsServers.start(1);
  const node = await open(servers.urls);
  await enter(node, "big", "here");
  const before = heap();
  const filler = await started(servers.urls, "fill");
  while (node.count("big") <= USERS) await Bun.sleep(50);
  await Bun.sleep(1000);
  const bytes = (heap() - before) / USERS;
  console.log(`a user online at another node and in one room: ${bytes | 0} B`);
  const late = performance.now();
  const third = await open(servers.urls);
  await enter(third, "big", "late");
  console.log(
    `a new node knew ${third.count("big")} users of the room after ${(performance.now() - late) | 0} ms (start included)`,
  );
  await third.close();
  filler.kill();
  while (node.count("big") > 1) await Bun.sleep(50);

  for (let i = 0; i < ROOMS; i++) await enter(node, `room-${i}`, `h${i}`);
  const churner = await started(servers.urls, "churn");
  const nc = await connect({ servers: servers.urls.slice(7) });
  const heard = new Map<string, { messages: number; bytes: number }>();
  nc.subscribe("bench.node.>", {
    callback: (_, { subject, data }) => {
      const kind = subject.split(".")[2]!;
      const sum = heard.get(kind) ?? { messages: 0, bytes: 0 };
      sum.messages++;
      sum.bytes += data.length;
      heard.set(kind, sum);
    },
  });
  await nc.flush();
  const cpu = process.cpuUsage();
  await Bun.sleep(SECONDS * 1000);
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    `${ROOMS} rooms at two nodes, one change in each a second, at one node:`,
  );
  for (const [kind, { messages, bytes }] of heard)
    console.log(
      `  ${kind}: ${(messages / SECONDS) | 0} messages/s, ${(bytes / SECONDS / 1000) | 0} kB/s`,
    );
  console.log(
    `  CPU of the other node, with a listener to all: ${((user + system) / SECONDS / 10_000).toFixed(1)} %`,
  );
  churner.kill();
  await nc.close();
  await node.close();
}
process.exit();
