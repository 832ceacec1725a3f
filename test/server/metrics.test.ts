import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { BackEnd, KEY } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { sample, sampleWhen, scrape } from "../support/metrics.ts";
import { InProcessServer, THREADS } from "../support/server.ts";
import { Application, SECRET } from "../webhooks/application.ts";
import { event, range, say } from "./helpers.ts";
import { OPCODE, RawSocket, refusal } from "./raw-socket.ts";

/** What `/metrics` tells of a conversation, on the running server. */

// The preload's reaches only the first file of a run. It only ends what hangs.
setDefaultTimeout(60_000);

const FREE = ["--max-messages-per-second", "0"];

const portOf = (server: InProcessServer): number => server.roomcast.server.port;

test("a conversation in three formats is counted: messages, deliveries, one encoding for each format, bytes", async () => {
  await using server = new InProcessServer();
  const sockets = [
    new WebSocket(`${server.url}/chat?room=r&name=Ann`),
    new WebSocket(`${server.url}/chat?room=r&name=Bob`),
    new WebSocket(`${server.url}/chat?room=r`, "roomcast.v1.msgpack"),
    new WebSocket(`${server.url}/chat?room=r&format=text`),
  ];
  const { promise: heard, resolve } = Promise.withResolvers<void>();
  for (const socket of sockets)
    socket.onmessage = ({ data }) => {
      // The text format's: the last one of the room's only slice.
      if (data === "[Eve]: once more") resolve();
    };
  await Promise.all(
    sockets.map((socket) => new Promise((opened) => (socket.onopen = opened))),
  );
  using client = await Client.connect(server.url, "json", "name=Eve");
  await client.join("r", { echo: false });
  // Members are in the room, and who came has been told to all.
  for (;;) {
    const { count } = await client.request({
      action: "get_members",
      room: "r",
    });
    if (count === 5) break;
  }
  const before = await scrape(server.http);
  for (const i of range(1, 2)) await client.say("r", `grüße 🦉 ${i}`);
  await client.say("r", "once more", { id: "k" });
  await client.say("r", "once more", { id: "k" });
  await heard;
  const after = await scrape(server.http);
  const grown = (name: string): number =>
    sample(after, name) - sample(before, name);

  expect(grown("events_in_total")).toBe(3);
  expect(grown("duplicates_total")).toBe(1);
  expect(grown("frames_in_total")).toBe(4);
  expect(grown("delivery_seconds_count")).toBe(3);
  expect(sample(after, "commit_events_sum")).toBe(3);
  expect(sample(after, "commit_events_count")).toBeWithin(1, 4);
  expect(sample(after, 'commit_events_bucket{le="+Inf"}')).toBe(
    sample(after, "commit_events_count"),
  );
  expect(sample(after, "commit_seconds_count")).toBe(
    sample(after, "commit_events_count"),
  );
  expect(sample(after, "commit_seconds_sum")).toBeGreaterThan(0);
  expect(sample(after, "connections")).toBe(5);
  expect(sample(after, "connections_opened_total")).toBe(5);
  expect(sample(after, "users")).toBe(5);
  expect(sample(after, "rooms")).toBe(1);

  const by = (name: string, format: string): number =>
    sample(after, `${name}_total{format="${format}"}`);
  // Text shows messages only; the others are also told who comes.
  expect([by("deliveries", "text"), by("encodes", "text")]).toEqual([3, 3]);
  expect(by("deliveries", "msgpack")).toBe(by("encodes", "msgpack"));
  expect(by("deliveries", "msgpack")).toBeGreaterThanOrEqual(3);
  expect(by("deliveries", "json")).toBeGreaterThanOrEqual(6);
  expect(by("encodes", "json")).toBeLessThan(by("deliveries", "json"));
  // Sampled now and then.
  const delay = "event_loop_delay_seconds_count";
  await sampleWhen(server.http, delay, (count) => count > 0);
  for (const socket of sockets) socket.close();
});

test("bytes in and out are the payloads that clients send and receive, to the byte", async () => {
  await using server = new InProcessServer();
  const socket = new WebSocket(`${server.url}/chat?name=Ann`);
  let bytes = 0;
  let sent = 0;
  const answers: ((message: any) => void)[] = [];
  socket.onmessage = ({ data }) => {
    bytes += Buffer.byteLength(data as string);
    const message = JSON.parse(data as string);
    if (message.ref !== undefined) answers.shift()!(message);
  };
  await new Promise((resolve) => (socket.onopen = resolve));
  const ask = (message: object): Promise<any> =>
    new Promise((resolve) => {
      answers.push(resolve);
      const frame = JSON.stringify({ ...message, ref: 1 });
      sent += Buffer.byteLength(frame);
      socket.send(frame);
    });
  await ask({ action: "join_room", room: "r" });
  for (const i of range(1, 20))
    await ask({ action: "send_message", room: "r", text: `grüße 🦉 ${i}` });
  await ask({ action: "get_history", room: "r" });
  await ask({ action: "dance" });
  // Who came is told after a while; then nothing more is sent.
  while (sample(await scrape(server.http), "bytes_out_total") !== bytes)
    await ask({ action: "ping" });
  expect(sample(await scrape(server.http), "bytes_in_total")).toBe(sent);
  socket.close();
});

test("what goes through the API and the webhooks is counted too", async () => {
  using application = new Application();
  application.answer = ({ body }) =>
    body.message?.text === "bad" ? new Response("", { status: 500 }) : {};
  await using server = new InProcessServer(
    ...["--api-key", KEY, "--webhook-secret", SECRET],
    ...["--before-send-url", application.url, "--webhook-url", application.url],
  );
  const back = await BackEnd.at(server.http);
  const to = "/rooms/r/messages";
  const key = { "idempotency-key": "k" };
  const statuses = [
    await back.post(to, { user: "u", text: "x" }, key),
    await back.post(to, { user: "u", text: "x" }, key),
    await back.post(to, { user: "u", text: "bad" }),
    await back.post(to, { user: "u" }),
    await back.get("/nothing"),
  ].map(({ status }) => status);
  expect(statuses).toEqual([201, 200, 503, 400, 404]);
  const samples = await sampleWhen(
    server.http,
    'webhook_requests_total{hook="events",outcome="taken"}',
    (count) => count === 1,
  );
  const told = (name: string): number => sample(samples, name);
  expect(told("events_in_total")).toBe(1);
  expect(told("duplicates_total")).toBe(1);
  // With the document.
  expect(told('api_requests_total{status="2xx"}')).toBe(3);
  expect(told('api_requests_total{status="4xx"}')).toBe(2);
  expect(told('api_requests_total{status="5xx"}')).toBe(1);
  const asked = 'webhook_requests_total{hook="before_send",outcome=';
  expect(told(`${asked}"taken"}`)).toBe(1);
  expect(told(`${asked}"failed"}`)).toBe(1);
  expect(told('webhook_waiting{hook="before_send"}')).toBe(0);
  expect(told('webhook_waiting{hook="events"}')).toBe(0);
  expect(told("webhook_events_dropped_total")).toBe(0);
});

test("there are as many lines after hundreds of rooms and names as before", async () => {
  await using server = new InProcessServer(
    ...FREE,
    "--max-requests-per-second",
    "0",
  );
  using bob = await Client.connect(server.url, "json", "name=Bob");
  await bob.join("first");
  await bob.say("first", "x");
  const names = [...(await scrape(server.http)).keys()];
  expect(names.length).toBeWithin(50, 300);
  await Promise.all(
    range(1, 120).map(async (i) => {
      const room = `room "${i}" \\ {le="1"} 🦉`;
      await bob.join(room);
      await bob.say(room, "x", { id: `k${i}` });
      await bob.request({ action: `action-${i}` });
    }),
  );
  for (const i of range(1, 20)) {
    using guest = await Client.connect(server.url, "json", `name=guest-${i}"`);
    await guest.join(`own-${i}`);
    await fetch(`${server.http}/path-${i}`);
  }
  const samples = await scrape(server.http);
  expect([...samples.keys()].sort()).toEqual(names.sort());
  expect(sample(samples, 'errors_total{code="unknown_action"}')).toBe(120);
  expect(sample(samples, "rooms")).toBe(141);
});

describe("errors and refusals are counted", () => {
  test("by code and by limit", async () => {
    await using server = new InProcessServer(
      ...["--max-messages-per-second", "2", "--max-text-bytes", "10"],
      ...["--max-data-bytes", "10", "--max-rooms-per-connection", "2"],
      ...["--max-connections-per-address", "3"],
    );
    using bob = await Client.connect(server.url);
    await bob.join("a");
    await bob.join("b");
    const refused = [
      await bob.join("c"),
      await bob.say("a", "x".repeat(11)),
      await bob.say("a", "x", { data: { long: "xxxxxxxxxx" } }),
      await bob.say("elsewhere", "x"),
    ];
    expect(refused.map((m) => m.code)).toEqual([
      ...["too_many_rooms", "too_large", "too_large", "not_joined"],
    ]);
    while ((await bob.say("a", "x")).code !== "rate_limited");
    bob.send("{");
    expect((await bob.nextAction("error")).code).toBe("bad_frame");
    using large = await RawSocket.connect(portOf(server), {
      path: "/chat",
    });
    large.send(OPCODE.text, "x".repeat(70_000));
    await large.ended;
    // The place is given back a moment later.
    using _third = await RawSocket.connect(portOf(server), { path: "/chat" });
    await sampleWhen(server.http, "connections", (count) => count === 2);
    using _fourth = await RawSocket.connect(portOf(server), { path: "/chat" });
    expect((await refusal(portOf(server), { path: "/chat" })).code).toBe(
      "too_many_connections",
    );
    expect((await refusal(portOf(server), { path: "/none" })).code).toBe(
      "not_found",
    );
    const samples = await scrape(server.http);
    const told = (name: string, label: string): Record<string, number> =>
      Object.fromEntries(
        [...samples].flatMap(([key, value]) => {
          const of = new RegExp(`^roomcast_${name}\\{${label}="(.*)"\\}$`).exec(
            key,
          );
          return of && value > 0 ? [[of[1]!, value]] : [];
        }),
      );
    expect(told("errors_total", "code")).toEqual({
      too_many_rooms: 1,
      too_large: 2,
      not_joined: 1,
      rate_limited: 1,
      bad_frame: 1,
      too_many_connections: 1,
      not_found: 1,
    });
    expect(told("refused_total", "limit")).toEqual({
      max_rooms_per_connection: 1,
      max_text_bytes: 1,
      max_data_bytes: 1,
      max_messages_per_second: 1,
      max_frame_bytes: 1,
      max_connections_per_address: 1,
    });
  });
});

describe("a slow consumer is counted once, others are not", () => {
  test("where its own unsent bytes are too many", async () => {
    await using server = new InProcessServer(...FREE);
    using bob = await Client.connect(server.url, "msgpack", "name=Bob");
    using ann = await Client.connect(server.url, "json", "room=r");
    await ann.nextAction("room_joined");
    await bob.join("r");
    using slow = await RawSocket.connect(portOf(server), {
      path: "/chat?room=r",
    });
    await slow.received(2);
    slow.socket.pause();
    let sent = 0;
    while ((await server.inMemory()).connections === 3) {
      // 80 MB: more than the buffers of any system between the two.
      if (sent > 20_000) throw new Error("nobody was closed");
      await Promise.all(range(1, 50).map(() => bob.say("r", "x".repeat(4000))));
      sent += 50;
    }
    // Somebody who goes without a word has the same close code.
    using gone = await RawSocket.connect(portOf(server), { path: "/chat" });
    await gone.received(1);
    gone.socket.resetAndDestroy();
    await server.connectionsAre(2);
    expect(
      sample(await scrape(server.http), "slow_consumers_closed_total"),
    ).toBe(1);
  });

  test("where those of all are", async () => {
    await using server = new InProcessServer(
      ...["--backpressure-limit-bytes", "0", "--max-buffered-bytes", "1048576"],
      // How often it is looked after follows from this one.
      ...["--ping-interval-ms", "100", "--ping-timeout-ms", "3600000", ...FREE],
    );
    using bob = await Client.connect(server.url, "json", "name=Bob");
    await bob.join("r");
    using slow = await RawSocket.connect(portOf(server), {
      path: "/chat?room=r",
    });
    await slow.received(2);
    slow.socket.pause();
    while ((await server.inMemory()).connections === 2)
      await Promise.all(range(1, 50).map(() => bob.say("r", "x".repeat(4000))));
    expect(
      sample(await scrape(server.http), "slow_consumers_closed_total"),
    ).toBe(1);
  });

  test("where a room of itself alone is not heard, nobody is", async () => {
    await using server = new InProcessServer(...FREE);
    using bob = await Client.connect(server.url);
    // Nobody is there to be sent anything.
    await bob.join("r", { echo: false });
    await say(bob, "r", 50);
    const samples = await scrape(server.http);
    expect(sample(samples, "slow_consumers_closed_total")).toBe(0);
    expect(sample(samples, "events_in_total")).toBe(50);
  });
});

test("who asks gets Prometheus's text format, and any number at a time get an answer", async () => {
  await using server = new InProcessServer();
  const responses = await Promise.all(
    range(1, 50).map(() => fetch(`${server.http}/metrics`)),
  );
  for (const response of responses) {
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(
      "text/plain; version=0.0.4; charset=utf-8",
    );
    expect(await response.text()).toContain("\nroomcast_connections 0\n");
  }
});

test("--metrics off leaves it out", async () => {
  await using server = new InProcessServer("--metrics", "off");
  const response = await fetch(`${server.http}/metrics`);
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ code: "not_found" });
});

test.skipIf(THREADS === 1)(
  "figures are those of all threads, and do not fall when one dies",
  async () => {
    await using server = new InProcessServer(...FREE);
    const clients = await Promise.all(
      range(1, 30).map(() => Client.connect(server.url, "json", "room=r")),
    );
    for (const client of clients) await client.nextAction("room_joined");
    await Promise.all(
      clients.map(async (client, i) => {
        await client.say("r", `m${i}`);
      }),
    );
    for (const client of clients)
      while (client.events("r").length < 30)
        await client.nextAction("receive_message");
    const before = await scrape(server.http);
    expect(sample(before, "events_in_total")).toBe(30);
    expect(sample(before, "connections_opened_total")).toBe(30);
    expect(sample(before, "delivery_seconds_count")).toBe(30);
    expect(
      sample(before, 'deliveries_total{format="json"}'),
    ).toBeGreaterThanOrEqual(900);
    const worker = server.roomcast.threads!.worker(0);
    const gone = new Promise((resolve) =>
      worker.addEventListener("close", resolve),
    );
    worker.terminate();
    // What is asked of a thread that ends is answered 503 by Bun, or not at all.
    await gone;
    await sampleWhen(server.http, "connections", (count) => count < 30);
    const after = await scrape(server.http);
    for (const [name, value] of before)
      if (/_total/.test(name))
        expect(after.get(name)!, name).toBeGreaterThanOrEqual(value);
    for (const client of clients) client.close();
  },
);

test("a message is heard while others ask for metrics", async () => {
  await using server = new InProcessServer();
  using bob = await Client.connect(server.url, "json", "room=r");
  await bob.nextAction("room_joined");
  const scrapes = range(1, 20).map(() => scrape(server.http));
  const heard = event(bob, "r", "still here");
  await bob.say("r", "still here");
  await heard;
  await Promise.all(scrapes);
});
