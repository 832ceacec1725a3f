import { expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../support/client.ts";
import { fullHistory } from "../support/full-history.ts";
import { Participant } from "../support/participant.ts";
import { Proxy } from "../support/proxy.ts";
import { Random, testSeed } from "../support/random.ts";
import { ServerProcess, TempFolder, THREADS } from "../support/server.ts";

// The preload's reaches only the first file of a run (Bun 1.4.5): this only ends what hangs.
setDefaultTimeout(120_000);

const ROOMS = ["red", "green", "blue"];
const CLIENTS = 12;
// With threads a join takes longer: as many joins need more steps.
const STEPS = THREADS > 1 ? 1300 : 900;
const KILLS = 4;
/** Small, so that every path is taken: cut answers, reads from storage, several slices, slow consumers. */
const FLAGS = [
  ["--max-messages-per-second", "0"],
  ["--max-requests-per-second", "0"],
  ["--max-connections-per-address", "0"],
  ["--slice-members", "3"],
  ["--ring-events-per-room", "8"],
  ["--max-history-per-reply", "7"],
  ["--backpressure-limit-bytes", "40000"],
  ["--max-reply-bytes", "10000"],
  ["--move-interval-ms", "50"],
].flat();

test("whatever happens on the way, all hold the same log, and each acked message is in it once", async () => {
  const random = new Random(testSeed());
  const context = `seed ${random.seed}`;
  using folder = new TempFolder();
  const start = (port: string): Promise<ServerProcess> =>
    ServerProcess.start(folder.path, "--port", port, ...FLAGS);
  let server = await start("0");
  const port = String(server.port);
  let epoch: string;
  {
    using client = await Client.connect(server.url);
    ({ epoch } = await client.join("red"));
  }
  const all: Participant[] = [];
  try {
    for (let i = 0; i < CLIENTS; i++)
      all.push(
        new Participant(
          `p${i}`,
          await Proxy.start(server.port),
          random.chance(0.6),
          i % 2 ? "json" : "msgpack",
        ),
      );
    const joins: Promise<void>[] = [];
    const join = (one: Participant, name: string): void => {
      if (one.client.rooms.has(name)) return;
      const held = one.logs.get(name) ?? [];
      const seq = Math.max(0, ...held.map((e) => e.seq));
      joins.push(one.join(name, { epoch, seq }));
    };
    for (const one of all)
      for (const name of ROOMS) if (random.chance(0.6)) join(one, name);

    let kills = 0;
    let paused = false;
    const resume = (): void => {
      if (paused) server.process.kill("SIGCONT");
      paused = false;
    };
    for (let step = 0; step < STEPS; step++) {
      const one = random.pick(all);
      const name = random.pick(ROOMS);
      const room = one.client.rooms.get(name);
      const dice = random.next();
      if (step === Math.floor(((kills + 1) * STEPS) / (KILLS + 1))) {
        kills++;
        paused = false;
        await server.signal("SIGKILL");
        server = await start(port);
      } else if (dice < 0.72) {
        if (room && one.pending.size < 100)
          for (let n = random.below(8); n >= 0; n--) one.say(room);
      } else if (dice < 0.79) one.proxy.cut();
      else if (dice < 0.82) one.proxy.stall();
      else if (dice < 0.88) one.proxy.flow();
      else if (dice < 0.89) {
        server.process.kill("SIGSTOP");
        paused = true;
      } else if (dice < 0.92) resume();
      else if (dice < 0.95)
        one.client.reconnect({
          format: one.client.format === "json" ? "msgpack" : "json",
        });
      else if (dice < 0.97) join(one, name);
      else if (room?.state === "joined" && one.pending.size === 0)
        void room.leave();
      // Lets things happen in between, now more, now less.
      if (random.chance(0.3))
        await new Promise((resolve) => setTimeout(resolve, 1));
      if (random.chance(0.05)) {
        resume();
        const talker = random.pick(all);
        talker.proxy.flow();
        if (talker.pending.size > 0) await Promise.race(talker.pending);
      }
    }
    resume();
    for (const one of all) one.proxy.flow();
    for (const one of all) for (const name of ROOMS) join(one, name);
    await Promise.all(joins);
    for (const one of all) await Promise.all(one.pending);

    for (const name of ROOMS) {
      const history = await fullHistory(server.url, name);
      const head = history.at(-1)!.seq;
      const wanted = history.map(({ seq, text }) => ({ seq, text }));
      for (const one of all) {
        const room = one.client.rooms.get(name)!;
        if (room.position!.seq < head)
          await new Promise<void>((resolve) =>
            room.on("event", ({ seq }) => seq >= head && resolve()),
          );
        const log = one.logs.get(name)!;
        // Acks resolve a turn after their place among the events: those of `echo: false` are sorted in.
        if (!one.echo) log.sort((a, b) => a.seq - b.seq);
        expect(log, `${context}: ${one.name} in ${name}`).toEqual(wanted);
      }
      const stored = new Map(history.map((e) => [e.id, e]));
      expect(stored.size, context).toBe(history.length);
      const acked = all
        .flatMap((one) => one.acked)
        .filter((a) => a.room === name);
      expect(acked.length, context).toBe(history.length);
      for (const { id, seq, text } of acked)
        expect(stored.get(id), context).toMatchObject({ seq, text });
    }
    expect(
      all.flatMap((one) => one.wrong),
      context,
    ).toEqual([]);
    // The run must have been about something.
    const sum = (count: (one: Participant) => number): number =>
      all.reduce((total, one) => total + count(one), 0);
    expect(sum((one) => one.joins)).toBeGreaterThan(150);
    expect(sum((one) => one.acked.length)).toBeGreaterThan(500);
  } finally {
    server.process.kill("SIGCONT");
    await Promise.all(all.map((one) => one.client.close()));
    for (const one of all) await one.proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  }
});
