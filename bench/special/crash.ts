import {
  encodeHistogram,
  newHistogram,
  quantiles,
  recordUs,
} from "../load/histogram.ts";
import type { Peer } from "../peers/peer.ts";
import type { ServerProcess } from "../peers/server-process.ts";
import type { Tell } from "../run/measure.ts";
import type { Measurement } from "../run/run-file.ts";
import type { Case } from "../run/case.ts";
import { ChatClient } from "./chat-client.ts";
import { CrashSender } from "./crash-sender.ts";

/** The server lives this long between kills, at random. */
const LIFE_MS = { least: 300, most: 900 };
const TICK_MS = 10;
/** After the last kill: for every message to find its ack. */
const SETTLE_MS = 15_000;
const PAGE = 500;

/** One stored message, as history tells it. */
export interface Stored {
  seq: number;
  user: string;
  text: string;
}

/**
 * Kills the server again and again under load. Senders reconnect, resume, and send again, with the same ids, what was
 * not acknowledged. In the end, history must hold every acknowledged message once, at the place that its ack told,
 * and each sender's in the order sent; and every sender must have received all of it, once and in order.
 */
export async function measureCrash(
  one: Case,
  _peer: Peer,
  server: ServerProcess,
  tell: Tell,
): Promise<Omit<Measurement, "case" | "peer" | "round">> {
  const restarts = newHistogram();
  let killed_at = 0;
  const acked = (): void => {
    if (killed_at === 0) return;
    recordUs(restarts, (performance.now() - killed_at) * 1000);
    killed_at = 0;
  };
  const { rooms, members, rate } = one.groups[0]!;
  const senders = Array.from(
    { length: rooms * members },
    (_, i) =>
      new CrashSender(
        server.port,
        i,
        `crash-${i % rooms}`,
        one.text_bytes,
        acked,
      ),
  );
  const ticker = setInterval(() => {
    for (const sender of senders)
      sender.tick((rate / members) * (TICK_MS / 1000));
  }, TICK_MS);
  const failures: string[] = [];
  try {
    for (let kill = 0; kill < one.kills; kill++) {
      tell(`kill ${kill + 1} of ${one.kills}`);
      await Bun.sleep(
        LIFE_MS.least + Math.random() * (LIFE_MS.most - LIFE_MS.least),
      );
      // The restart before must have been noticed, or its time would run on into this one.
      await until(() => killed_at === 0, SETTLE_MS);
      if (killed_at !== 0) throw new Error("nothing was acked after a restart");
      await server.kill();
      killed_at = performance.now();
      await server.launch();
    }
    await Bun.sleep(LIFE_MS.least);
    for (const sender of senders) sender.finish();
    const waiting = (): number =>
      senders.reduce((sum, { waiting }) => sum + waiting, 0);
    await until(() => waiting() === 0, SETTLE_MS);
    if (waiting() > 0)
      failures.push(`${waiting()} messages were never acknowledged`);
    // A moment for copies that should not come.
    await Bun.sleep(200);
  } finally {
    clearInterval(ticker);
    for (const sender of senders) sender.stop();
  }
  tell("reading all history");
  const sum = { acked: 0, lost: 0, doubled: 0, reordered: 0, holes: 0 };
  for (let room = 0; room < rooms; room++) {
    const history = await readHistory(server.port, `crash-${room}`);
    for (const sender of senders.filter(
      ({ room: r }) => r === `crash-${room}`,
    )) {
      const check = sender.check(history);
      for (const key of Object.keys(check) as (keyof typeof check)[])
        sum[key] += check[key];
    }
  }
  const say = (count: number, what: string): void => {
    if (count > 0) failures.push(`${count} ${what}`);
  };
  say(sum.lost, "acknowledged messages or deliveries lost");
  say(sum.doubled, "doubled");
  say(sum.reordered, "reordered");
  say(sum.holes, "resumes that did not recover");
  const { p50, max } = quantiles(restarts);
  return {
    verdict: failures.length > 0 ? "failed" : "ok",
    reasons: failures,
    figures: {
      acked: sum.acked,
      acked_lost: sum.lost,
      acked_doubled: sum.doubled,
      acked_reordered: sum.reordered,
      restart_p50_us: p50,
      restart_max_us: max,
    },
    histograms: { restart: encodeHistogram(restarts) },
    load: null,
  };
}

async function until(done: () => boolean, ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  while (!done() && performance.now() < deadline) await Bun.sleep(5);
}

/** All of a room, page by page. */
async function readHistory(port: number, room: string): Promise<Stored[]> {
  const all: Stored[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ask = (): void =>
    client.send({
      action: "get_history",
      room,
      after: all.at(-1)?.seq ?? 0,
      limit: PAGE,
    });
  const client: ChatClient = new ChatClient({
    opened: () => client.send({ action: "join_room", room }),
    received: (bytes) => {
      const frame = JSON.parse(bytes.toString()) as {
        action: string;
        messages: Stored[];
        more: boolean;
      };
      if (frame.action === "room_joined") ask();
      else if (frame.action === "error")
        reject(new Error(`get_history: ${bytes.toString()}`));
      else if (frame.action === "history") {
        all.push(...frame.messages);
        if (frame.more && frame.messages.length > 0) ask();
        else resolve();
      }
    },
    ended: (reason) => reject(new Error(`get_history: ${reason}`)),
  });
  client.connect(port, 0, "name=reader");
  await promise.finally(() => client.abort());
  return all;
}
