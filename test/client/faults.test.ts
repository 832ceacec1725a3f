import { describe, expect, spyOn, test, setDefaultTimeout } from "bun:test";
import type { RoomcastError, StateChange } from "../../src/client/index.ts";
import { Client } from "../support/client.ts";
import { fullHistory } from "../support/full-history.ts";
import { Proxy } from "../support/proxy.ts";
import {
  InProcessServer,
  ServerProcess,
  TempFolder,
} from "../support/server.ts";
import { Follow, next, numbered } from "./follow.ts";
import { Clients, failure } from "./scene.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** Delays of loopback. */
const QUICK = { minBackoffMs: 5, maxBackoffMs: 50 };
const UNLIMITED = [
  "--max-messages-per-second",
  "0",
  "--max-requests-per-second",
  "0",
];

describe.each(["json", "msgpack"] as const)("in %s", (format) => {
  test("kill -9 and a new start: everything once, in order, by the same user", async () => {
    using folder = new TempFolder();
    let server = await ServerProcess.start(folder.path, ...UNLIMITED);
    const port = String(server.port);
    await using clients = new Clients();
    const sender = clients.connect(server.url, { format, ...QUICK });
    const room = await sender.join("general");
    const saw = new Follow(room);
    const watch = new Follow(
      await clients.connect(server.url, QUICK).join("general"),
    );
    await room.send("before");
    const { user } = sender;
    const lost = next(sender, "state", ({ state }) => state === "reconnecting");
    await server.signal("SIGKILL");
    expect(await lost).toMatchObject({
      code: 1006,
      retryInMs: expect.any(Number),
    });
    expect(room.state).toBe("joining");
    const sends = numbered("offline", 50).map((text) => room.send(text));
    server = await ServerProcess.start(
      folder.path,
      "--port",
      port,
      ...UNLIMITED,
    );
    try {
      await Promise.all(sends);
      await room.send("after");
      await watch.untilText("after");
      const all = ["before", ...numbered("offline", 50), "after"];
      expect(saw.texts).toEqual(all);
      expect(watch.texts).toEqual(all);
      expect(sender.user).toEqual(user!);
      expect(saw.resets).toEqual([]);
    } finally {
      await clients[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    }
  });

  test("a cut in the middle of hundreds of sends: each is stored once, in order", async () => {
    await using server = new InProcessServer(...UNLIMITED);
    await using proxy = await Proxy.start(server.roomcast.server.port!);
    await using clients = new Clients();
    const client = clients.connect(proxy.url, { format, ...QUICK });
    const room = await client.join("general");
    const saw = new Follow(room);
    const sends: Promise<unknown>[] = [];
    for (let round = 0; round < 8; round++) {
      for (const text of numbered(`round ${round}`, 100))
        sends.push(room.send(text));
      await saw.until(() => saw.messages.length >= round * 100 + 30);
      proxy.cut();
    }
    await Promise.all(sends);
    const all = Array.from({ length: 8 }, (_, round) =>
      numbered(`round ${round}`, 100),
    ).flat();
    expect(saw.texts).toEqual(all);
    const stored = await fullHistory(server.url, "general");
    expect(stored.map((message) => message.text)).toEqual(all);
    expect(proxy.taken).toBeGreaterThan(4);
  });
});

test("more sends than the server takes in a burst are paced: none is refused, none overtakes", async () => {
  await using server = new InProcessServer("--max-messages-per-second", "500");
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  let refused = false;
  proxy.heard = (chunk) => (refused ||= chunk.includes("rate_limited"));
  const client = clients.connect(proxy.url, { maxQueuedSends: 1100 });
  const room = await client.join("general", { echo: false });
  const texts = numbered("m", 1100);
  const acks = await Promise.all(texts.map((text) => room.send(text)));
  expect(acks.map((ack) => ack.seq)).toEqual(texts.map((_, i) => i + 1));
  expect(refused).toBe(false);
});

test("what the server refuses for now is sent again, in order, one at a time", async () => {
  await using server = new InProcessServer(
    ...UNLIMITED,
    "--overload-events",
    "4",
    "--commit-pace-ms",
    "20",
  );
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  let refusals = 0;
  proxy.heard = (chunk) =>
    (refusals += chunk.toString().split('"overloaded"').length - 1);
  const room = await clients.connect(proxy.url, QUICK).join("general");
  const saw = new Follow(room);
  // A busy server collects messages before it stores them: then ours pile up.
  using noise = await Client.connect(server.url);
  const rooms = numbered("noise", 30);
  for (const name of rooms) await noise.join(name, { echo: false });
  const texts: string[] = [];
  const sends: Promise<unknown>[] = [];
  while (refusals === 0) {
    for (let i = 0; i < 600; i++)
      noise.send({ action: "send_message", room: rooms[i % 30], text: "" });
    for (let i = 0; i < 40; i++) {
      const text = String(texts.length);
      texts.push(text);
      sends.push(room.send(text));
    }
    await noise.request({ action: "ping" });
  }
  await Promise.all(sends);
  expect(saw.texts.toSorted()).toEqual(texts.toSorted());
  // Those under way behind a refused one may be stored before it; what is sent after it is not.
  const falls = saw.texts.filter(
    (text, i) => i > 0 && Number(text) < Number(saw.texts[i - 1]),
  ).length;
  expect(falls).toBeLessThanOrEqual(refusals);
});

test("a membership that the server lost is made anew", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const room = await client.join("general");
  const saw = new Follow(room);
  await room.send("one");
  proxy.inject({ action: "leave_room", room: "general" }, "to the server");
  await Promise.all([room.send("two"), room.send("three")]);
  expect(saw.texts).toEqual(["one", "two", "three"]);
});

test("requests under way when a connection ends are made again", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const room = await client.join("general");
  await room.send("one");
  proxy.holdAnswers();
  const calls = [room.history(), room.members(), client.ping()];
  proxy.cut();
  expect(await Promise.all(calls)).toMatchObject([
    { messages: [{ text: "one" }], more: false },
    { count: 1 },
    expect.any(Number),
  ]);
});

test("what was missed comes in pages while live messages wait", async () => {
  await using server = new InProcessServer(
    ...UNLIMITED,
    "--max-history-per-reply",
    "10",
  );
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const saw = new Follow(await client.join("general", { history: 1 }));
  const writer = await clients.connect(server.url).join("general");
  await writer.send("first");
  await saw.untilText("first");
  proxy.refuse(true);
  proxy.cut();
  await Promise.all(numbered("missed", 200).map((text) => writer.send(text)));
  // These come while the pages do.
  let live = 0;
  saw.room.on("message", ({ text }) => {
    if (text.startsWith("missed") && live < 30)
      void writer.send(`live ${live++}`);
    // In the middle of a page, too, the application may do as it likes.
    if (text === "missed 5" || text === "missed 77") client.reconnect();
  });
  proxy.refuse(false);
  await saw.untilText("live 29");
  expect(saw.texts).toEqual([
    "first",
    ...numbered("missed", 200),
    ...numbered("live", 30),
  ]);
});

test("more live messages than can be held while catching up: it joins again, and misses none", async () => {
  await using server = new InProcessServer(
    ...UNLIMITED,
    "--max-history-per-reply",
    "2",
    "--overload-events",
    "100000",
  );
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const saw = new Follow(
    await clients.connect(proxy.url, QUICK).join("general"),
  );
  using writer = await Client.connect(server.url);
  await writer.join("general");
  proxy.refuse(true);
  proxy.cut();
  for (const text of numbered("missed", 100))
    writer.send({ action: "send_message", room: "general", text });
  await writer.say("general", "end of missed");
  let wrote = false;
  saw.room.on("joined", () => {
    if (wrote) return;
    wrote = true;
    // All of them arrive before the second page does.
    for (const text of numbered("live", 1500))
      writer.send({ action: "send_message", room: "general", text });
  });
  proxy.refuse(false);
  await saw.untilText("live 1499");
  expect(saw.texts).toEqual([
    ...numbered("missed", 100),
    "end of missed",
    ...numbered("live", 1500),
  ]);
  expect(saw.joins).toBeGreaterThan(2);
});

test("a server that is silent is noticed, and left", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path);
  await using clients = new Clients();
  const client = clients.connect(server.url, {
    ...QUICK,
    pingIntervalMs: 30,
    pingTimeoutMs: 100,
    connectTimeoutMs: 200,
  });
  const room = await client.join("general");
  const saw = new Follow(room);
  await room.send("before");
  const lost = next(client, "state", ({ state }) => state === "reconnecting");
  server.process.kill("SIGSTOP");
  expect(await lost).toMatchObject({
    code: 1006,
    reason: "no answer to a ping",
  });
  // A paused server still takes connections; nobody says welcome.
  expect(
    await next(
      client,
      "state",
      ({ reason }) => reason === "no welcome in time",
    ),
  ).toMatchObject({ state: "reconnecting" });
  const send = room.send("during");
  server.process.kill("SIGCONT");
  await send;
  expect(saw.texts).toEqual(["before", "during"]);
  await clients[Symbol.asyncDispose]();
});

test("a half-open connection is noticed while sends wait on it", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, {
    ...QUICK,
    pingIntervalMs: 30,
    pingTimeoutMs: 50,
    connectTimeoutMs: 100,
  });
  const room = await client.join("general");
  const saw = new Follow(room);
  const before = proxy.taken;
  proxy.stall();
  const sends = ["one", "two", "three"].map((text) => room.send(text));
  await proxy.untilTaken(before + 1);
  proxy.flow();
  await Promise.all(sends);
  expect(saw.texts).toEqual(["one", "two", "three"]);
  expect((await fullHistory(server.url, "general")).length).toBe(3);
});

test("a slow reader is closed by the server, and comes back without a gap", async () => {
  await using server = new InProcessServer(
    ...UNLIMITED,
    "--backpressure-limit-bytes",
    "100000",
    "--max-reply-bytes",
    "20000",
  );
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const saw = new Follow(await client.join("general"));
  using writer = await Client.connect(server.url);
  await writer.join("general", { echo: false });
  const before = server.roomcast.connections;
  proxy.stall();
  const text = "x".repeat(4000);
  let sent = 0;
  // The kernel's buffers take some megabytes first.
  while (server.roomcast.connections === before) {
    await writer.say("general", text);
    sent++;
  }
  proxy.flow();
  await writer.say("general", "end");
  await saw.untilText("end");
  expect(saw.texts.length).toBe(sent + 1);
  expect(saw.messages.map((m) => m.seq)).toEqual(
    numbered("", sent + 1).map((_, i) => i + 1),
  );
  expect(saw.joins).toBeGreaterThan(1);
});

test("a server that drains is left in peace: acks first, back after the time it gave", async () => {
  using folder = new TempFolder();
  let server = await ServerProcess.start(folder.path, ...UNLIMITED);
  const port = String(server.port);
  await using clients = new Clients();
  const client = clients.connect(server.url, QUICK);
  const room = await client.join("general");
  const saw = new Follow(room);
  const states: StateChange[] = [];
  client.on("state", (change) => states.push(change));
  const sends = numbered("m", 30).map((text) => room.send(text));
  const away = next(client, "state");
  const exit = server.signal("SIGTERM");
  expect((await away).retryInMs).toBeGreaterThanOrEqual(0);
  // Not even a reason to hurry brings it back earlier.
  (globalThis as any).dispatchEvent(new Event("online"));
  expect(states).toHaveLength(1);
  expect(await exit).toBe(0);
  server = await ServerProcess.start(folder.path, "--port", port, ...UNLIMITED);
  await Promise.all(sends);
  expect(saw.texts).toEqual(numbered("m", 30));
  expect(states[0]).toMatchObject({
    state: "reconnecting",
    reason: "the server leaves",
  });
  await clients[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test("acks under way are waited for when the server says that it leaves", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const room = await client.join("general");
  await client.ping();
  const away = next(client, "state");
  proxy.holdAnswers();
  const sends = ["one", "two", "three"].map((text) => room.send(text));
  while ((await fullHistory(server.url, "general")).length < 3);
  proxy.inject({ action: "reconnect", after_ms: 20 }, "to the client");
  proxy.flow();
  const acks = await Promise.all(sends);
  expect(acks.map((ack) => [ack.seq, ack.duplicate])).toEqual([
    [1, undefined],
    [2, undefined],
    [3, undefined],
  ]);
  expect(await away).toMatchObject({ reason: "the server leaves" });
  expect((await room.send("four")).seq).toBe(4);
});

test("a server that forgot everything: the room starts anew, and says so", async () => {
  const flags = ["--history", "memory"];
  const first = new InProcessServer(...flags);
  const proxy = await Proxy.start(first.roomcast.server.port!);
  await using second = new InProcessServer(...flags);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const room = await client.join("general", { history: 3 });
  const saw = new Follow(room);
  await room.send("old");
  const writer = await clients.connect(second.url).join("general");
  await Promise.all(numbered("new", 5).map((text) => writer.send(text)));
  proxy.refuse(true);
  proxy.cut();
  // Nobody can have stored it but a server that is gone: it goes to the new one, though the user is another.
  const send = room.send("waited");
  proxy.target = second.roomcast.server.port!;
  proxy.refuse(false);
  await send;
  expect(saw.resets).toHaveLength(1);
  expect(saw.resets[0]).toMatchObject({
    messages: [{ text: "new 2" }, { text: "new 3" }, { text: "new 4" }],
    position: { seq: 5 },
  });
  expect(saw.texts).toEqual(["new 2", "new 3", "new 4", "waited"]);
  await proxy[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

test("a hole in what arrives is filled before what follows it goes on", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const saw = new Follow(
    await clients.connect(proxy.url, QUICK).join("general"),
  );
  const writer = await clients.connect(server.url).join("general");
  await writer.send("one");
  await saw.untilText("one");
  proxy.loseAnswers = true;
  await writer.send("two");
  await writer.send("three");
  proxy.loseAnswers = false;
  await writer.send("four");
  await saw.untilText("four");
  expect(saw.texts).toEqual(["one", "two", "three", "four"]);
  expect(saw.joins).toBe(1);
});

test("an action of a later version is an event, and moves the position", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const room = await client.join("general");
  const events: unknown[] = [];
  const arrived = new Promise<void>((resolve) =>
    room.on("event", (event) => {
      events.push(event);
      resolve();
    }),
  );
  await client.ping();
  const frame = {
    action: "add_reaction",
    room: "general",
    seq: 1,
    emoji: "🦉",
  };
  proxy.inject(frame, "to the client");
  await arrived;
  expect(events).toEqual([frame]);
  expect(room.position!.seq).toBe(1);
});

test("a close code after which coming back cannot help is final", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, QUICK);
  const room = await client.join("general");
  const errors: RoomcastError[] = [];
  client.on("error", (error) => errors.push(error));
  const closed = next(client, "state", ({ state }) => state === "closed");
  for (let i = 0; i < 21; i++) proxy.inject("garbage", "to the server");
  expect(await closed).toMatchObject({ code: 4000 });
  expect(errors[0]!.code).toBe("bad_frame");
  expect(room.state).toBe("left");
  expect((await failure(room.send("late"))).code).toBe("closed");
});

test("a send that may be stored under a former user is told as such, not sent twice", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, { name: "Ann", ...QUICK });
  const room = await client.join("general");
  const saw = new Follow(room);
  proxy.loseAnswers = true;
  const send = failure(room.send("once"));
  while ((await fullHistory(server.url, "general")).length === 0);
  const queued: Promise<unknown>[] = [];
  client.reconnect({ name: "Anna" });
  proxy.loseAnswers = false;
  queued.push(room.send("by Anna"));
  expect(await send).toMatchObject({
    code: "outcome_unknown",
    maybeStored: true,
  });
  await Promise.all(queued);
  expect(saw.texts).toEqual(["once", "by Anna"]);
});

test("going online, or looking at the page again, ends the waiting", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  const client = clients.connect(proxy.url, {
    // Full jitter picks below it: an hour at the first try, most likely.
    minBackoffMs: 3_600_000,
    maxBackoffMs: 3_600_000,
  });
  await client.join("general");
  for (const event of ["online", "visibilitychange"]) {
    const lost = next(client, "state");
    proxy.cut();
    expect((await lost).retryInMs).toBeGreaterThan(0);
    const open = next(client, "state", ({ state }) => state === "open");
    (globalThis as any).dispatchEvent(new Event(event));
    await open;
  }
});

test("going offline, the server has a moment only to show that it is there", async () => {
  await using server = new InProcessServer();
  await using proxy = await Proxy.start(server.roomcast.server.port!);
  await using clients = new Clients();
  // Far longer than this test may take.
  const hour = { pingIntervalMs: 3_600_000, pingTimeoutMs: 3_600_000 };
  const client = clients.connect(proxy.url, hour);
  await client.join("general");
  const offline = () => (globalThis as any).dispatchEvent(new Event("offline"));
  const answered = next(client, "roundtrip");
  offline();
  await answered;
  expect(client.state).toBe("open");
  proxy.stall();
  const lost = next(client, "state");
  offline();
  expect(await lost).toMatchObject({
    state: "reconnecting",
    reason: "no answer to a ping",
  });
});

test("delays grow until a connection has lasted, and then start anew", async () => {
  using folder = new TempFolder();
  // In another process: only the client's clock is put forward.
  await using server = await ServerProcess.start(folder.path);
  await using proxy = await Proxy.start(server.port);
  await using clients = new Clients();
  // The longest that each attempt may wait, in ms: 1, 2, 4, 8, …
  using _random = spyOn(Math, "random").mockReturnValue(0.9999);
  const client = clients.connect(proxy.url, { minBackoffMs: 1 });
  await next(client, "welcome");
  const delays: (number | undefined)[] = [];
  client.on("state", ({ code, retryInMs }) => {
    if (code !== undefined) delays.push(retryInMs);
  });
  const refused = next(client, "state", ({ retryInMs }) => retryInMs === 8);
  proxy.refuse(true);
  proxy.cut();
  await refused;
  proxy.refuse(false);
  await next(client, "welcome");
  // One that ends at once is no good one, though it was let in.
  const short = next(client, "state");
  proxy.cut();
  await short;
  await next(client, "welcome");
  expect(delays).toEqual([1, 2, 4, 8, 16]);
  {
    const now = performance.now.bind(performance);
    using _later = spyOn(performance, "now").mockImplementation(
      () => now() + 5000,
    );
    const lasted = next(client, "state");
    proxy.cut();
    await lasted;
  }
  expect(delays).toEqual([1, 2, 4, 8, 16, 1]);
});

test("a refused upgrade is tried again", async () => {
  await using server = new InProcessServer("--max-connections", "1");
  await using clients = new Clients();
  const first = clients.connect(server.url, QUICK);
  await next(first, "welcome");
  const second = clients.connect(server.url, QUICK);
  expect(await next(second, "state")).toMatchObject({
    state: "reconnecting",
    code: expect.any(Number),
  });
  await first.close();
  await next(second, "welcome");
});
