import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { join } from "node:path";
import type { Config } from "../../src/config/options.ts";
import { startRoomcast, type Roomcast } from "../../src/roomcast.ts";
import { Heartbeat, PATIENCE } from "../../src/threads/heartbeat.ts";
import { claimPort } from "../../src/threads/port.ts";
import { Client, type Message } from "../support/client.ts";
import {
  InProcessServer,
  ServerProcess,
  TempFolder,
} from "../support/server.ts";
import { event, range, received, seqs, texts } from "./helpers.ts";
import { OPCODE, RawSocket, refusal } from "./raw-socket.ts";

/** What is only there with `--threads`: the same server, whatever thread a connection comes to. */

// The preload's reaches only the first file of a run (Bun 1.4.5).
setDefaultTimeout(30_000);

const THREADS = ["--threads", "3"];

/** Which thread a client is connected to: its connection's name begins with the thread's. */
const threadOf = (client: Client): string =>
  client.welcome.connection.split("-")[0];

/** Connects until there is a client at so many different threads. The kernel spreads them. */
async function atEachThread(
  server: { readonly url: string },
  count: number,
  query = "",
): Promise<Client[]> {
  const byThread = new Map<string, Client>();
  for (let tries = 0; byThread.size < count; tries++) {
    if (tries === 500) throw new Error("the kernel does not spread");
    const client = await Client.connect(server.url, "json", query);
    const thread = threadOf(client);
    if (byThread.has(thread)) {
      client.close();
      await client.closed;
    } else byThread.set(thread, client);
  }
  return [...byThread.values()];
}

const somebodyLeft = (m: Message): boolean =>
  m.action === "members_changed" && m.left?.length > 0;

const countIs =
  (count: number) =>
  (m: Message): boolean =>
    m.action === "members_changed" && m.count === count;

describe("connections of different threads", () => {
  test("share rooms: an event reaches all of them once, and so do history, typing and presence", async () => {
    await using server = new InProcessServer(...THREADS);
    const clients = await atEachThread(server, 3);
    const [ann, bob, eve] = clients as [Client, Client, Client];
    for (const client of clients) await client.join("r");
    // Who comes and goes in one moment was never there.
    for (const client of clients) await client.next(countIs(3));
    expect(await ann.request({ action: "get_members", room: "r" })).toEqual(
      expect.objectContaining({
        count: 3,
        members: clients.map((client) => client.user),
      }),
    );
    for (let i = 1; i <= 20; i++)
      await clients[i % 3]!.say("r", `m${i}`, { id: `k${i}` });
    const repeat = await eve.say("r", "again", { id: "k20" });
    expect(repeat.seq).toBeGreaterThan(0);
    for (const client of clients) {
      if (!texts(client.events("r")).includes("m20"))
        await event(client, "r", "m20");
      expect(seqs(client.events("r")).slice(0, 20)).toEqual(range(1, 20));
    }
    ann.send({ action: "typing", room: "r", active: true });
    for (const client of [bob, eve])
      expect(await client.nextAction("typing")).toMatchObject({
        user: ann.user.id,
      });
    expect(received(ann, "typing")).toEqual([]);
    ann.close();
    for (const client of [bob, eve])
      expect(await client.next(somebodyLeft)).toMatchObject({
        left: [ann.user],
        count: 2,
      });
  });

  test("of one user are one user", async () => {
    await using server = new InProcessServer(...THREADS);
    using first = await Client.connect(server.url, "json", "name=Ann");
    const query = `session=${first.welcome.session}`;
    const same = await atEachThread(server, 3, query);
    using stranger = await Client.connect(server.url, "json");
    expect(stranger.welcome.users).toBe(2);
    for (const client of same) {
      expect(client.user).toEqual(first.user);
      expect(await client.join("r")).toMatchObject({ count: 1 });
    }
    expect(await stranger.join("r")).toMatchObject({ count: 2 });
    await stranger.next(countIs(2));
    const changes = received(stranger, "members_changed").length;
    for (const client of same.slice(1)) client.close();
    await Promise.all(same.slice(1).map((client) => client.closed));
    same[0]!.close();
    await same[0]!.closed;
    await stranger.next(somebodyLeft);
    expect(
      received(stranger, "members_changed")
        .slice(changes)
        .flatMap((m) => m.left),
    ).toEqual([first.user]);
  });

  test("are counted together, per address and in all", async () => {
    await using server = new InProcessServer(
      ...THREADS,
      "--max-connections-per-address",
      "4",
      "--max-connections",
      "6",
    );
    const { port } = server.roomcast.server;
    const open: RawSocket[] = [];
    for (let i = 0; i < 4; i++)
      open.push(await RawSocket.connect(port, { from: "127.0.0.1" }));
    for (let i = 0; i < 6; i++)
      expect(await refusal(port, { from: "127.0.0.1" })).toMatchObject({
        code: "too_many_connections",
      });
    for (let i = 0; i < 2; i++)
      open.push(await RawSocket.connect(port, { from: "127.0.0.2" }));
    expect(await refusal(port, { from: "127.0.0.3" })).toMatchObject({
      code: "too_many_connections",
    });
    for (let i = 0; i < 20; i++)
      expect(
        await (
          await fetch(`${server.http}/health`, { keepalive: false })
        ).json(),
      ).toEqual({
        status: "ok",
        connections: 6,
      });
    open[0]!.send(OPCODE.close, new Uint8Array());
    await open[0]!.ended;
    await server.connectionsAre(5);
    open.push(await RawSocket.connect(port, { from: "127.0.0.1" }));
    for (const socket of open) socket[Symbol.dispose]();
  });
});

const BEAT_MS = 100;

/** A server whose threads can be made to hang, which is noticed soon. What it logs is kept. */
class HangingServer extends InProcessServer {
  static logged: string[] = [];

  protected override start(config: Config): Roomcast {
    const logged: string[] = (HangingServer.logged = []);
    const sink = { write: (line: string) => void logged.push(line) };
    return startRoomcast(config, sink, {
      program: new URL("../support/hanging-worker.ts", import.meta.url),
      beatMs: BEAT_MS,
    });
  }
}

test.each<[string, string, (worker: Worker) => void]>([
  ["dies", "ended", (worker) => worker.terminate()],
  [
    "hangs",
    "did not answer, was ended",
    (worker) => worker.postMessage("loop"),
  ],
])(
  "a thread that %s is replaced; its clients come back and miss nothing, nobody else notices",
  async (_, told, end) => {
    await using server = new HangingServer(...THREADS);
    const clients = await atEachThread(server, 3);
    const first = clients.map(threadOf);
    for (const client of clients) await client.join("r");
    for (const client of clients) await client.next(countIs(3));
    const { epoch } = await clients[0]!.say("r", "before");
    for (const client of clients)
      if (!texts(client.events("r")).includes("before"))
        await event(client, "r", "before");

    end(server.roomcast.threads!.worker(1));
    const dead = await Promise.race(
      clients.map((client) => client.closed.then(() => client)),
    );
    expect((await dead.closed).code).toBe(1001);
    const [one, other] = clients.filter((client) => client !== dead) as [
      Client,
      Client,
    ];
    expect(await one.next(somebodyLeft)).toMatchObject({
      left: [dead.user],
      count: 2,
    });
    expect(HangingServer.logged.map((line) => JSON.parse(line))).toEqual([
      {
        level: "error",
        time: expect.any(String),
        thread: 1,
        msg: `a gateway thread ${told} and is replaced; its clients reconnect`,
      },
    ]);
    await one.say("r", "meanwhile");
    await event(other, "r", "meanwhile");

    // Its replacement is found among the others' threads, and knows the session.
    let back: Client | undefined;
    while (!back) {
      const session = `session=${dead.welcome.session}`;
      const client = await Client.connect(server.url, "json", session);
      if (first.includes(threadOf(client))) client.close();
      else back = client;
    }
    expect(back.user).toEqual(dead.user);
    const joined = await back.join("r", { since: { epoch, seq: 1 } });
    expect(joined).toMatchObject({ recovered: true, count: 3 });
    expect(texts(joined.messages)).toEqual(["meanwhile"]);
    const heard = event(back, "r", "after");
    await other.say("r", "after");
    await heard;
    expect(await server.inMemory()).toMatchObject({ rooms: 3 });
    for (const client of [one, other, back]) client.close();
  },
);

test("a thread that hangs where nothing can end it ends the process, with a word", async () => {
  await using server = Bun.spawn(
    [
      process.execPath,
      "run",
      "test/support/blocked-server.ts",
      "--host",
      "127.0.0.1",
      "--port",
      "0",
      "--history",
      "memory",
      ...THREADS,
    ],
    {
      cwd: join(import.meta.dir, "../.."),
      stdin: "ignore",
      stdout: "inherit",
      stderr: "pipe",
    },
  );
  const said = await server.stderr.text();
  expect(said).toMatch(/^[^\n]+\n$/);
  expect(JSON.parse(said)).toMatchObject({
    level: "fatal",
    thread: 1,
    msg: "a gateway thread does not answer and cannot be ended: leaving, to be started again",
  });
  expect(await server.exited).toBe(1);
});

test("a thread that answers is left alone, also when the main thread stood still for longer than its patience", async () => {
  using beats = spyOn(Heartbeat.prototype, "beat");
  const asked = async (times: number): Promise<void> => {
    while (beats.mock.calls.length < times * 3) await Bun.sleep(1);
  };
  await using server = new HangingServer(...THREADS);
  using ann = await Client.connect(server.url, "json", "room=r");
  await ann.nextAction("room_joined");
  await asked(5);
  Bun.sleepSync(BEAT_MS * (PATIENCE.beats + 5));
  await asked(PATIENCE.startBeats + 5);
  expect(await ann.say("r", "still here")).toMatchObject({ seq: 1 });
  expect(HangingServer.logged).toEqual([]);
});

test("a disk that stalls holds up acks, and nothing else", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path, ...THREADS);
  const [ann, bob] = (await atEachThread(server, 2)) as [Client, Client];
  await ann.join("r");
  await bob.join("r");
  const log = new Database(join(folder.path, "log.db"), { readwrite: true });
  try {
    log.run("BEGIN IMMEDIATE");
    let settled = false;
    const answer = ann.say("r", "waits", { id: "k" }).then((said) => {
      settled = true;
      return said;
    });
    // The main thread stands still in SQLite by now, or will: a message goes there before the next frame is looked at.
    for (let i = 0; i < 20; i++)
      for (const client of [ann, bob])
        expect(await client.request({ action: "ping" })).toMatchObject({
          action: "pong",
        });
    expect(settled).toBe(false);
    log.run("ROLLBACK");
    const said = await answer;
    // Stored in the end, or refused after a while: then the same again is.
    if (said.action !== "message_sent")
      expect(await ann.say("r", "waits", { id: "k" })).toMatchObject({
        action: "message_sent",
      });
  } finally {
    log.close();
  }
  ann.close();
  bob.close();
});

describe("the port", () => {
  const HOST = "127.0.0.1";

  test("is not shared with a server that would share it", () => {
    using other = Bun.serve({
      hostname: HOST,
      port: 0,
      reusePort: true,
      fetch: () => new Response(),
    });
    expect(() => claimPort(HOST, other.port!)).toThrow(
      `--port ${other.port}: cannot listen there`,
    );
    // It is free for others again at once.
    void other.stop(true);
    claimPort(HOST, other.port!).release();
  });

  test("is one server's from the moment that it was found free", () => {
    const claimed = claimPort(HOST, 0);
    expect(claimed.port).toBeGreaterThan(0);
    expect(() => claimPort(HOST, claimed.port)).toThrow("in use");
    claimed.release();
    claimPort(HOST, claimed.port).release();
  });
});
