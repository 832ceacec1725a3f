import { describe, expect, test, setDefaultTimeout } from "bun:test";
import { Client, type Message } from "../support/client.ts";
import { InProcessServer, THREADS } from "../support/server.ts";
import {
  Follower,
  event,
  range,
  received,
  say,
  seqs,
  texts,
} from "./helpers.ts";
import { OPCODE, RawSocket, refusal } from "./raw-socket.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** Every limit is enforced, on whoever is above it and on nobody else. */

const portOf = (server: InProcessServer): number =>
  server.roomcast.server.port!;

describe("a frame above --max-frame-bytes", () => {
  test.each(["json", "msgpack"] as const)(
    "ends the connection with 1009, in %s",
    async (format) => {
      await using server = await InProcessServer.start(
        "--max-frame-bytes",
        "512",
      );
      using bob = await Client.connect(server.url, format);
      bob.send({ action: "ping", x: "x".repeat(400) });
      await bob.nextAction("pong");
      bob.send({ action: "ping", x: "x".repeat(512) });
      expect((await bob.closed).code).toBe(1009);
    },
  );

  test("is counted to the byte, and over all its fragments", async () => {
    await using server = await InProcessServer.start(
      "--max-frame-bytes",
      "512",
    );
    const exact = '{"action":"ping"}'.padEnd(512);
    using whole = await RawSocket.connect(portOf(server));
    whole.send(OPCODE.text, exact);
    await whole.received(2);
    whole.send(OPCODE.text, `${exact} `);
    await whole.ended;
    expect(whole.closeCode).toBe(1009);

    using parts = await RawSocket.connect(portOf(server));
    parts.send(OPCODE.text, exact.slice(0, 300), { fin: false });
    parts.send(OPCODE.continuation, exact.slice(300));
    await parts.received(2);
    parts.send(OPCODE.text, exact, { fin: false });
    parts.send(OPCODE.continuation, " ");
    await parts.ended;
    expect(parts.closeCode).toBe(1009);
    expect(parts.messages().map((m) => m.action)).toEqual(["welcome", "pong"]);
  });

  test("does not reach anybody", async () => {
    await using server = await InProcessServer.start(
      "--max-frame-bytes",
      "512",
    );
    using bob = await Client.connect(server.url, "json");
    using ann = await Client.connect(server.url, "json");
    await bob.join("r");
    await ann.join("r");
    bob.send({ action: "send_message", room: "r", text: "x".repeat(600) });
    await bob.closed;
    await ann.say("r", "hi");
    const { messages } = await ann.request({
      action: "get_history",
      room: "r",
    });
    expect(texts(messages)).toEqual(["hi"]);
  });
});

test("a text above --max-text-bytes of UTF-8 is too_large", async () => {
  await using server = await InProcessServer.start("--max-text-bytes", "10");
  using bob = await Client.connect(server.url);
  expect(bob.welcome.limits.max_text_bytes).toBe(10);
  await bob.join("r");
  for (const text of ["x".repeat(10), "ü".repeat(5), "🦉🦉xx", "部部部x"])
    expect(await bob.say("r", text)).toMatchObject({ action: "message_sent" });
  for (const text of ["x".repeat(11), "ü".repeat(6), "🦉🦉xxx", "部部部xx"])
    expect(await bob.say("r", text)).toMatchObject({
      action: "error",
      code: "too_large",
      message: expect.stringMatching(/text.*10/),
    });
  expect((await bob.say("r", "")).seq).toBe(5);
});

test("data above --max-data-bytes as JSON is too_large", async () => {
  await using server = await InProcessServer.start("--max-data-bytes", "20");
  for (const format of ["json", "msgpack"] as const) {
    using bob = await Client.connect(server.url, format);
    expect(bob.welcome.limits.max_data_bytes).toBe(20);
    await bob.join("r");
    for (const data of [{ k: "x".repeat(12) }, { k: "ü".repeat(6) }])
      expect(await bob.say("r", "x", { data })).toMatchObject({
        action: "message_sent",
      });
    for (const data of [{ k: "x".repeat(13) }, { k: "ü".repeat(7) }])
      expect(await bob.say("r", "x", { data })).toMatchObject({
        action: "error",
        code: "too_large",
        message: expect.stringMatching(/data.*20/),
      });
  }
});

test("a name above --max-name-bytes, or a room above 128 bytes, is refused at connecting", async () => {
  await using server = await InProcessServer.start("--max-name-bytes", "16");
  const name = encodeURIComponent("ü".repeat(8));
  using bob = await Client.connect(server.url, "json", `name=${name}`);
  expect(bob.user.name).toBe("ü".repeat(8));
  for (const path of [
    `/chat?name=${name}x`,
    `/chat?name=${"x".repeat(17)}`,
    `/chat?room=${"x".repeat(129)}`,
    `/chat?room=${encodeURIComponent("ü".repeat(64))}x`,
  ])
    expect(await refusal(portOf(server), { path })).toMatchObject({
      status: 400,
      code: "invalid_field",
      message: expect.stringContaining("bytes"),
    });
});

test("a connection may be in --max-rooms-per-connection rooms at a time", async () => {
  await using server = await InProcessServer.start(
    "--max-rooms-per-connection",
    "2",
  );
  using bob = await Client.connect(server.url);
  expect(bob.welcome.limits.max_rooms_per_connection).toBe(2);
  await bob.join("a");
  await bob.join("b");
  expect(await bob.join("c")).toMatchObject({
    code: "too_many_rooms",
    message: expect.stringContaining("2"),
  });
  expect(await bob.say("c", "x")).toMatchObject({ code: "not_joined" });
  expect(await bob.join("a")).toMatchObject({ action: "room_joined" });
  await bob.request({ action: "leave_room", room: "b" });
  expect(await bob.join("c")).toMatchObject({ action: "room_joined" });
  using ann = await Client.connect(server.url);
  expect(await ann.join("b")).toMatchObject({ count: 1 });
});

describe("connections", () => {
  const FULL = { status: 503, code: "too_many_connections" };

  test("above --max-connections are refused until one ends", async () => {
    await using server = await InProcessServer.start("--max-connections", "2");
    using ann = await Client.connect(server.url, "json", "room=r");
    using bob = await Client.connect(server.url, "text", "room=r");
    await ann.next((m) => m.action === "members_changed" && m.count === 2);
    for (const path of ["/chat", "/chat?format=text", "/echo"])
      expect(await refusal(portOf(server), { path })).toMatchObject(FULL);
    bob.close();
    await ann.next((m) => m.action === "members_changed" && m.count === 1);
    using eve = await Client.connect(server.url);
    await eve.join("r");
    expect(await refusal(portOf(server), {})).toMatchObject(FULL);
  });

  test("above --max-connections-per-address are refused, those of other addresses are not", async () => {
    await using server = await InProcessServer.start(
      "--max-connections-per-address",
      "2",
    );
    const port = portOf(server);
    const here = { from: "127.0.0.1" };
    using one = await RawSocket.connect(port, here);
    using two = await RawSocket.connect(port, here);
    expect(await refusal(port, here)).toMatchObject(FULL);
    using other = await RawSocket.connect(port, { from: "127.0.0.2" });
    await Promise.all([one, two, other].map((raw) => raw.received(1)));
    expect(other.messages()[0]).toMatchObject({ action: "welcome", users: 3 });
    one.send(OPCODE.close, new Uint8Array());
    await one.ended;
    await server.connectionsAre(2);
    using three = await RawSocket.connect(port, here);
    await three.received(1);
    expect(await refusal(port, here)).toMatchObject(FULL);
  });

  test("that were refused for another reason take no place", async () => {
    await using server = await InProcessServer.start("--max-connections", "1");
    const port = portOf(server);
    for (const handshake of [
      { path: "/chat?format=xml" },
      { path: "/chat?room=%00" },
      { headers: { "sec-websocket-key": "" } },
      { headers: { "sec-websocket-protocol": "unknown" } },
    ])
      expect((await refusal(port, handshake)).status).toBe(400);
    using bob = await Client.connect(server.url);
    await bob.join("r");
  });
});

describe("what is sent too fast", () => {
  test("is rate_limited above twice --max-messages-per-second, with the time to wait, and not stored", async () => {
    await using server = await InProcessServer.start(
      "--max-messages-per-second",
      "1",
    );
    using bob = await Client.connect(server.url);
    using ann = await Client.connect(server.url);
    expect(bob.welcome.limits.max_messages_per_second).toBe(1);
    await bob.join("r");
    await ann.join("r");
    const start = performance.now();
    const answers = await say(bob, "r", 20);
    const seconds = (performance.now() - start) / 1000;
    const stored = answers.filter((m) => m.action === "message_sent");
    expect(stored.length).toBeWithin(2, 2 + Math.floor(seconds) + 1);
    for (const refused of answers.filter((m) => !stored.includes(m))) {
      expect(refused).toMatchObject({ action: "error", code: "rate_limited" });
      expect(refused.retry_after_ms).toBeWithin(1, 1001);
    }
    // Each connection has its own measure, and other requests have another.
    const { seq } = await ann.say("r", "from Ann");
    expect(seq).toBe(stored.length + 1);
    // History goes as far as what the connection was sent.
    await bob.next((m) => m.action === "receive_message" && m.seq === seq);
    const { messages } = await bob.request({
      action: "get_history",
      room: "r",
    });
    expect(texts(messages)).toEqual([
      ...answers.flatMap((m, i) => (stored.includes(m) ? [`m${i}`] : [])),
      "from Ann",
    ]);
  });

  test("is taken again after retry_after_ms", async () => {
    await using server = await InProcessServer.start(
      "--max-messages-per-second",
      "20",
    );
    using bob = await Client.connect(server.url);
    await bob.join("r");
    const answers = await say(bob, "r", 60);
    const refused = answers.find((m) => m.code === "rate_limited")!;
    expect(refused.retry_after_ms).toBeWithin(1, 51);
    await Bun.sleep(refused.retry_after_ms + 1);
    expect(await bob.say("r", "again")).toMatchObject({
      action: "message_sent",
    });
  });

  test("is rate_limited above four times --max-requests-per-second, and ends the connection with 4001 if it goes on", async () => {
    await using server = await InProcessServer.start(
      "--max-requests-per-second",
      "1",
    );
    using bob = await Client.connect(server.url);
    for (let ref = 0; ref < 2100; ref++) bob.send({ action: "ping", ref });
    expect((await bob.closed).code).toBe(4001);
    expect(received(bob, "pong").length).toBeGreaterThanOrEqual(4);
    expect(received(bob, "error")[0]).toMatchObject({
      code: "rate_limited",
      retry_after_ms: expect.any(Number),
    });
  });
});

describe("more than 20 bad frames", () => {
  test.each([
    ["json", "{"],
    ["json", new Uint8Array([1])],
    ["json", "[]"],
    ["msgpack", new Uint8Array([0xc1])],
    ["msgpack", "{}"],
  ] as const)("end a %s connection with 4000: %p", async (format, frame) => {
    await using server = await InProcessServer.start();
    using ann = await Client.connect(server.url, format);
    using bob = await Client.connect(server.url, format);
    for (let i = 0; i < 20; i++) bob.socket.send(frame);
    await bob.request({ action: "ping" });
    expect(received(bob, "error").map((m) => m.code)).toEqual(
      Array(20).fill("bad_frame"),
    );
    bob.socket.send(frame);
    expect((await bob.closed).code).toBe(4000);
    await ann.request({ action: "ping" });
  });
});

describe("a slow consumer", () => {
  const LARGE = "x".repeat(4000);

  /** Bob says large things until the server has closed a connection. @returns how many */
  async function flood(server: InProcessServer, bob: Client): Promise<number> {
    const connections = async (): Promise<number> =>
      (await server.inMemory()).connections;
    const before = await connections();
    let sent = 0;
    while ((await connections()) === before) {
      // 80 MB: more than the buffers of any system between the two.
      if (sent > 20_000) throw new Error("nobody was closed");
      await Promise.all(range(1, 50).map(() => bob.say("r", LARGE)));
      sent += 50;
    }
    return sent;
  }

  test("is closed, resumes with nothing lost or doubled, and nobody else notices", async () => {
    await using server = await InProcessServer.start(
      "--backpressure-limit-bytes",
      "65536",
      "--max-messages-per-second",
      "0",
    );
    using bob = await Client.connect(server.url, "msgpack", "name=Bob");
    using ann = await Client.connect(server.url, "json", "room=r");
    await ann.nextAction("room_joined");
    const { epoch } = await bob.join("r");
    using slow = await RawSocket.connect(portOf(server), {
      path: "/chat?room=r",
    });
    await slow.received(2);
    await bob.say("r", "read");
    slow.socket.pause();
    await flood(server, bob);
    // What the slow one missed after its end belongs to its resume too.
    const { seq: head } = await bob.say("r", "last");
    if (!texts(ann.events("r")).includes("last")) await event(ann, "r", "last");
    expect(seqs(ann.events("r"))).toEqual(range(1, head));

    // Once it reads on, it finds the rest of what was under way, then the end.
    slow.socket.resume();
    await slow.ended;
    const follower = new Follower();
    for (const message of slow.messages())
      if (message.action === "receive_message") follower.take(message);
    const read = follower.position;
    expect(read).toBeWithin(1, head);

    const { session } = slow.messages()[0]!;
    using back = await Client.connect(server.url, "json", `session=${session}`);
    const joined = await back.join("r", { since: { epoch, seq: read } });
    expect(joined).toMatchObject({ seq: head, recovered: true });
    let page: Message = joined;
    for (;;) {
      for (const message of page.messages) follower.take(message);
      if (!page.more) break;
      page = await back.request({
        action: "get_history",
        room: "r",
        after: follower.position,
      });
    }
    expect(seqs(follower.events)).toEqual(range(1, head));
    expect(follower.repeats).toBe(0);
    expect(back.events("r")).toEqual([]);
  });

  test("is the one that is closed where all together have too many unsent bytes", async () => {
    await using server = await InProcessServer.start(
      "--backpressure-limit-bytes",
      "0",
      "--max-buffered-bytes",
      "1048576",
      // How often it is looked after follows from this one.
      "--ping-interval-ms",
      "100",
      "--ping-timeout-ms",
      "3600000",
      "--max-messages-per-second",
      "0",
    );
    using bob = await Client.connect(server.url, "json", "name=Bob");
    await bob.join("r");
    using slow = await RawSocket.connect(portOf(server), {
      path: "/chat?room=r",
    });
    await slow.received(2);
    slow.socket.pause();
    await flood(server, bob);
    expect((await server.inMemory()).connections).toBe(1);
    expect(await bob.request({ action: "ping" })).toBeDefined();
  });
});

describe("a peer that gives no sign of life", () => {
  test("is pinged, then gone, also while it is sent to; one that answers stays", async () => {
    await using server = await InProcessServer.start(
      "--ping-interval-ms",
      "100",
      "--ping-timeout-ms",
      "500",
      "--max-messages-per-second",
      "0",
    );
    using bob = await Client.connect(server.url, "json", "room=r&name=Bob");
    using silent = await Client.connect(server.url, "msgpack", "room=r");
    await bob.next((m) => m.action === "members_changed" && m.count === 2);
    using half = await RawSocket.connect(portOf(server), {
      path: "/chat?room=r",
    });
    await half.received(2);
    const gone = bob.next(
      (m) => m.action === "members_changed" && m.left.length > 0,
    );
    let found = false;
    void gone.then(() => (found = true));
    for (let i = 0; !found; i++) {
      await bob.say("r", `${i}`);
      await Bun.sleep(5);
    }
    expect((await gone).left).toEqual([half.messages()[0]!.user]);
    await half.ended;
    expect(half.frames.map((frame) => frame.opcode)).toContain(OPCODE.ping);
    // This one sent nothing either, but its library answers pings.
    expect(await silent.request({ action: "ping" })).toMatchObject({
      action: "pong",
    });
  });

  test("is any that answers nothing, whether or not it is in a room", async () => {
    await using server = await InProcessServer.start(
      "--ping-interval-ms",
      "100",
      "--ping-timeout-ms",
      "500",
    );
    using bob = await Client.connect(server.url);
    using half = await RawSocket.connect(portOf(server));
    await half.ended;
    expect((await server.inMemory()).connections).toBe(1);
    expect(await bob.request({ action: "ping" })).toBeDefined();
  });

  test("is found on /echo too", async () => {
    await using server = await InProcessServer.start(
      "--ping-interval-ms",
      "100",
      "--ping-timeout-ms",
      "100",
    );
    using half = await RawSocket.connect(portOf(server), { path: "/echo" });
    await half.ended;
    expect(half.frames.map((frame) => frame.opcode)).toEqual([
      OPCODE.text,
      OPCODE.ping,
    ]);
  });

  test("stays as long as it sends anything", async () => {
    await using server = await InProcessServer.start(
      "--ping-interval-ms",
      "400",
      "--ping-timeout-ms",
      "400",
    );
    using half = await RawSocket.connect(portOf(server));
    using talking = await RawSocket.connect(portOf(server));
    let ended = false;
    void half.ended.then(() => (ended = true));
    while (!ended) {
      talking.sendJson({ action: "ping" });
      await Bun.sleep(20);
    }
    talking.sendJson({ action: "ping", ref: 99 });
    await talking.received(talking.frames.length + 1);
    expect(talking.socket.destroyed).toBe(false);
  });
});

describe("a room that receives more than it can carry", () => {
  test.each([
    ["its fan-out", "--overload-events"],
    ["the store", "--max-uncommitted-events"],
  ])("answers overloaded before it stores, for %s", async (_, flag) => {
    await using server = await InProcessServer.start(
      flag,
      "5",
      "--max-messages-per-second",
      "0",
    );
    using bob = await Client.connect(server.url);
    using ann = await Client.connect(server.url, "msgpack");
    await bob.join("r");
    await ann.join("r");
    const answers = await say(bob, "r", 200);
    const acks = answers.filter((m) => m.action === "message_sent");
    const refused = answers.filter((m) => m.action === "error");
    expect(acks.length).toBeGreaterThanOrEqual(5);
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) {
      expect(error).toMatchObject({ code: "overloaded" });
      expect(error.retry_after_ms).toBeGreaterThan(0);
    }
    const stored = answers.flatMap((m, i) =>
      m.action === "message_sent" ? [`m${i}`] : [],
    );
    const { messages } = await bob.request({
      action: "get_history",
      room: "r",
    });
    expect(texts(messages)).toEqual(stored);
    expect(seqs(messages)).toEqual(range(1, acks.length));
    // It carries again once it has carried what it took.
    while ((await bob.say("r", "last")).action !== "message_sent");
    await event(ann, "r", "last");
    expect(texts(ann.events("r"))).toEqual([...stored, "last"]);
  });

  test("does not hold back another room", async () => {
    await using server = await InProcessServer.start(
      "--overload-events",
      "5",
      "--max-messages-per-second",
      "0",
    );
    using bob = await Client.connect(server.url);
    await bob.join("busy");
    await bob.join("quiet");
    const [busy, quiet] = await Promise.all([
      say(bob, "busy", 100),
      bob.say("quiet", "hi"),
    ]);
    expect(busy.map((m) => m.code)).toContain("overloaded");
    expect(quiet).toMatchObject({ action: "message_sent", seq: 1 });
  });
});

describe("idempotency keys", () => {
  test("are known up to --dedupe-max-keys", async () => {
    await using server = await InProcessServer.start("--dedupe-max-keys", "3");
    using bob = await Client.connect(server.url);
    await bob.join("r");
    for (const id of ["a", "b", "c", "d"]) await bob.say("r", id, { id });
    for (const id of ["b", "c", "d"])
      expect(await bob.say("r", id, { id })).toMatchObject({ duplicate: true });
    const again = await bob.say("r", "a", { id: "a" });
    expect(again).toMatchObject({ seq: 5 });
    expect(again).not.toHaveProperty("duplicate");
  });

  test("are known for --dedupe-window-ms", async () => {
    await using server = await InProcessServer.start("--dedupe-window-ms", "1");
    using bob = await Client.connect(server.url);
    await bob.join("r");
    const { ts } = await bob.say("r", "x", { id: "k" });
    while (Date.now() <= ts + 1) await Bun.sleep(1);
    expect(await bob.say("r", "x", { id: "k" })).toMatchObject({ seq: 2 });
  });
});

describe("rooms without members", () => {
  const rooms = async (server: InProcessServer): Promise<number> =>
    (await server.inMemory()).rooms;

  test("stay in memory up to --max-idle-rooms", async () => {
    await using server = await InProcessServer.start(
      "--max-idle-rooms",
      // Each thread has its share.
      String(3 * THREADS),
    );
    using bob = await Client.connect(server.url);
    for (let i = 0; i < 20; i++) {
      await bob.join(`r${i}`);
      await bob.say(`r${i}`, "hi");
      await bob.request({ action: "leave_room", room: `r${i}` });
    }
    expect(await rooms(server)).toBe(3);
    // They are forgotten by this process, not by the store.
    const { epoch, seq } = await bob.join("r0", { history: 1 });
    expect(seq).toBe(1);
    const joined = await bob.join("r0", { since: { epoch, seq: 0 } });
    expect(joined).toMatchObject({ recovered: true, seq: 1 });
    expect(texts(joined.messages)).toEqual(["hi"]);
    expect((await bob.say("r0", "again")).seq).toBe(2);
  });

  test("leave memory after --idle-room-ms; rooms with members stay", async () => {
    await using server = await InProcessServer.start(
      "--idle-room-ms",
      "1",
      "--ping-interval-ms",
      "100",
    );
    using ann = await Client.connect(server.url, "json", "room=kept");
    using bob = await Client.connect(server.url);
    for (let i = 0; i < 20; i++) await bob.join(`r${i}`);
    expect(await rooms(server)).toBe(21);
    bob.close();
    while ((await rooms(server)) > 1) await Bun.sleep(5);
    expect(await ann.say("kept", "hi")).toMatchObject({ seq: 1 });
    expect(await rooms(server)).toBe(1);
  });

  test("of a join that failed leave memory too", async () => {
    await using server = await InProcessServer.start(
      "--max-idle-rooms",
      "0",
      "--max-rooms-per-connection",
      "1",
    );
    using bob = await Client.connect(server.url);
    await bob.join("r");
    for (let i = 0; i < 10; i++)
      expect(await bob.join(`other${i}`)).toMatchObject({
        code: "too_many_rooms",
      });
    expect(await rooms(server)).toBe(1);
  });
});

describe.each(["sqlite", "memory"])(
  "retention, with history in %s",
  (history) => {
    test("holds for events that are still in memory too", async () => {
      await using server = await InProcessServer.start(
        "--retention-events-per-room",
        "5",
        "--history",
        history,
      );
      using bob = await Client.connect(server.url);
      const { epoch } = await bob.join("r");
      await say(bob, "r", 20);
      for (const extra of [{}, { limit: 10 }, { after: 0 }, { after: 12 }]) {
        const page = await bob.request({
          action: "get_history",
          room: "r",
          ...extra,
        });
        expect([seqs(page.messages), page.more]).toEqual([
          range(16, 20),
          false,
        ]);
      }
      const gone = await bob.request({
        action: "get_history",
        room: "r",
        before: 16,
      });
      expect([gone.messages, gone.more]).toEqual([[], false]);
      expect(await bob.join("r", { since: { epoch, seq: 14 } })).toMatchObject({
        recovered: false,
        seq: 20,
      });
      const back = await bob.join("r", { since: { epoch, seq: 15 } });
      expect(back.recovered).toBe(true);
      expect(seqs(back.messages)).toEqual(range(16, 20));
    });
  },
);

test("memory mode forgets the oldest events above --memory-history-bytes, and says so", async () => {
  await using server = await InProcessServer.start(
    "--history",
    "memory",
    "--memory-history-bytes",
    "1048576",
    "--ring-events-per-room",
    "10",
    "--max-messages-per-second",
    "0",
  );
  using bob = await Client.connect(server.url);
  const { epoch } = await bob.join("r");
  for (let i = 0; i < 10; i++)
    await Promise.all(range(1, 50).map(() => bob.say("r", "x".repeat(4000))));
  const page = await bob.request({
    action: "get_history",
    room: "r",
    after: 0,
  });
  const first = page.messages[0].seq;
  expect(first).toBeWithin(200, 400);
  expect(
    await bob.join("r", { since: { epoch, seq: first - 2 } }),
  ).toMatchObject({ recovered: false, seq: 500 });
  expect(
    await bob.join("r", { since: { epoch, seq: first - 1 } }),
  ).toMatchObject({ recovered: true });
});

test("a frame that is no request costs one all the same", async () => {
  await using server = await InProcessServer.start(
    "--max-requests-per-second",
    "10",
  );
  using client = await Client.connect(server.url);
  for (let ref = 0; ref < 60; ref++)
    client.send({ action: "send_message", room: 7, ref });
  await client.next((m) => m.ref === 59);
  const codes = client.received
    .filter((m) => m.action === "error")
    .map((m) => m.code);
  expect(new Set(codes)).toEqual(new Set(["invalid_field", "rate_limited"]));
  expect(codes[0]).toBe("invalid_field");
});
