import { describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { FOR_GOOD } from "../../src/data/sanctions-file.ts";
import { RoomcastClient, type RoomcastError } from "../../src/client/index.ts";
import { BackEnd, KEY } from "../support/api.ts";
import { Client, type Message } from "../support/client.ts";
import {
  InProcessServer,
  ServerProcess,
  TempFolder,
  THREADS,
} from "../support/server.ts";
import { event, received } from "./helpers.ts";

// The preload's reaches only the first file of a run. It only ends what hangs.
setDefaultTimeout(60_000);

const serve = (...flags: string[]): InProcessServer =>
  new InProcessServer("--api-key", KEY, ...flags);

/** The same user, often enough that with threads it is at several. */
async function often(url: string, query: string): Promise<Client[]> {
  const clients: Client[] = [];
  for (let i = 0; i < 6; i++) {
    const client = await Client.connect(url, i % 2 ? "msgpack" : "json", query);
    await client.join("r");
    clients.push(client);
  }
  return clients;
}

/** The answer to an upgrade. */
const upgrade = (http: string, session: string): Promise<Response> =>
  fetch(`${http}/chat?session=${session}`, {
    headers: {
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    },
    keepalive: false,
  });

describe("a banned user", () => {
  test("is sent away everywhere, and not let in until the ban is lifted", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    using first = await Client.connect(server.url, "json", "name=Ann");
    const { session } = first.welcome;
    const user = first.user.id;
    const clients = [first, ...(await often(server.url, `session=${session}`))];
    using bob = await Client.connect(server.url, "json", "room=r");
    expect(await back.post("/bans", { user })).toEqual({
      status: 200,
      body: { user, until: null, connections: clients.length },
      headers: expect.anything(),
    });
    for (const client of clients)
      expect(await client.closed).toEqual({
        code: 4021,
        reason: "you are banned",
      });
    // At each thread.
    for (let i = 0; i < 10; i++) {
      const answer = await upgrade(server.http, session);
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ code: "banned" });
    }
    // A browser hides the answer; its page can ask again without an upgrade.
    const plain = await fetch(`${server.http}/chat?session=${session}`);
    expect(await plain.json()).toMatchObject({ code: "banned" });
    const posted = await back.post("/rooms/r/messages", { user, text: "x" });
    expect(posted).toMatchObject({ status: 403, body: { code: "banned" } });
    expect((await bob.request({ action: "ping" })).action).toBe("pong");
    expect((await back.get("/bans")).body).toEqual({
      users: [{ user, until: null }],
      next: null,
    });
    expect((await back.delete(`/bans/${user}`)).status).toBe(204);
    expect((await back.delete(`/bans/${user}`)).status).toBe(404);
    using again = await Client.connect(
      server.url,
      "json",
      `session=${session}`,
    );
    expect(again.user.id).toBe(user);
    expect(await again.join("r")).toMatchObject({ action: "room_joined" });
  });

  test("is taken out of one room, and stays out of it", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    using ann = await Client.connect(server.url, "json", "name=Ann");
    await ann.join("r");
    await ann.join("other");
    const user = ann.user.id;
    const query = `session=${ann.welcome.session}`;
    const others = await often(server.url, query);
    const banned = await back.post("/rooms/r/bans", { user, seconds: 3600 });
    expect(banned.body).toMatchObject({ user, connections: 7 });
    expect(Math.abs(banned.body.until - Date.now() - 3_600_000)).toBeLessThan(
      60_000,
    );
    const message = 'you are banned from room "r"';
    for (const client of [ann, ...others]) {
      expect(await client.nextAction("room_left")).toEqual({
        action: "room_left",
        room: "r",
        code: "banned",
        message,
      });
      expect(await client.join("r")).toMatchObject({ code: "banned", message });
    }
    expect(await ann.say("other", "here")).toMatchObject({ seq: 1 });
    expect((await back.get("/rooms/r/members")).body.count).toBe(0);
    using late = await Client.connect(server.url, "json", `${query}&room=r`);
    expect(await late.nextAction("error")).toMatchObject({ code: "banned" });
    expect((await back.get("/rooms/r/bans")).body.users).toHaveLength(1);
    for (const none of ["/bans", "/rooms/other/bans", "/rooms/r/mutes"])
      expect((await back.get(none)).body.users).toEqual([]);
    expect((await back.delete(`/bans/${user}`)).status).toBe(404);
    expect((await back.delete(`/rooms/r/bans/${user}`)).status).toBe(204);
    for (const client of [ann, ...others])
      expect(await client.join("r")).toMatchObject({ action: "room_joined" });
    for (const client of others) client.close();
  });

  test.skipIf(THREADS > 1)(
    "is given no history that was read meanwhile",
    async () => {
      await using server = serve("--ring-events-per-room", "1");
      const back = await BackEnd.at(server.http);
      using ann = await Client.connect(server.url, "json", "room=r");
      for (const text of ["one", "two", "three"]) await ann.say("r", text);
      const { broker } = server.roomcast.gateway!;
      const read = broker.read.bind(broker);
      const asked = Promise.withResolvers<void>();
      const banned = Promise.withResolvers<void>();
      using _ = spyOn(broker, "read").mockImplementation(async (...args) => {
        asked.resolve();
        await banned.promise;
        return await read(...args);
      });
      const history = ann.request({ action: "get_history", room: "r" });
      await asked.promise;
      await back.post("/rooms/r/bans", { user: ann.user.id });
      banned.resolve();
      expect(await history).toMatchObject({ code: "not_joined" });
    },
  );

  test("is told by its client, which stays away", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const chat = new RoomcastClient(server.url, { name: "Ann" });
    const r = await chat.join("r");
    const user = chat.user!.id;
    const out = new Promise<RoomcastError | undefined>((resolve) =>
      r.on("left", resolve),
    );
    await back.post("/rooms/r/bans", { user });
    expect(await out).toMatchObject({ code: "banned" });
    expect(await chat.join("r").catch((error) => error)).toMatchObject({
      code: "banned",
    });
    const closed = new Promise((resolve) =>
      chat.on(
        "state",
        (change) => change.state === "closed" && resolve(change),
      ),
    );
    await back.post("/bans", { user });
    expect(await closed).toMatchObject({
      code: 4021,
      reason: "you are banned",
    });
  });
});

describe("a muted user", () => {
  test.each([
    ["in a room", "/rooms/r/mutes", false],
    ["everywhere", "/mutes", true],
  ])("%s may listen, not send", async (_, path, everywhere) => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    using ann = await Client.connect(server.url, "json", "name=Ann");
    using bob = await Client.connect(server.url, "json", "room=r");
    const query = `session=${ann.welcome.session}`;
    const clients = [ann, ...(await often(server.url, query))];
    await ann.join("r");
    await ann.join("other");
    const user = ann.user.id;
    const refused = (answer: Message): void =>
      expect(answer).toMatchObject({
        code: "muted",
        message: expect.stringContaining('"r" until 20'),
        retry_after_ms: expect.any(Number),
      });
    await back.post(path, { user, seconds: 600 });
    for (const client of clients) refused(await client.say("r", "x"));
    // One that comes later, and one that joins anew, know it too.
    using late = await Client.connect(server.url, "json", `${query}&room=r`);
    await late.nextAction("room_joined");
    refused(await late.say("r", "x"));
    await ann.join("r");
    refused(await ann.say("r", "x"));
    ann.send({ action: "typing", room: "r", active: true });
    expect((await ann.say("other", "x")).code).toBe(
      everywhere ? "muted" : undefined,
    );
    expect(
      await back.post("/rooms/r/messages", { user, text: "x" }),
    ).toMatchObject({
      status: 403,
      body: {
        code: "muted",
        message: expect.stringContaining('"r" until 20'),
        retry_after_ms: expect.any(Number),
      },
    });
    const heard = clients.map((client) => event(client, "r", "hello"));
    await bob.say("r", "hello");
    await Promise.all(heard);
    expect(received(bob, "typing")).toEqual([]);
    expect(bob.events("r").map((m) => m.text)).toEqual(["hello"]);

    expect((await back.delete(`${path}/${user}`)).status).toBe(204);
    for (const client of [...clients, late])
      expect(await client.say("r", "again")).toMatchObject({
        action: "message_sent",
      });
    for (const client of clients) client.close();
  });

  test("is told of what is stored already, and of nothing else", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const send = async (key: string) => {
      const message = { user: "ann", text: "x" };
      const answer = await back.post("/rooms/r/messages", message, {
        "idempotency-key": key,
      });
      return [answer.status, answer.body.seq];
    };
    expect(await send("one")).toEqual([201, 1]);
    await back.post("/rooms/r/mutes", { user: "ann" });
    expect(await send("one")).toEqual([200, 1]);
    expect(await send("two")).toEqual([403, undefined]);
  });

  test("may send when the mute has ended, and it is forgotten", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    using ann = await Client.connect(server.url, "json", "room=r");
    await ann.nextAction("room_joined");
    const user = ann.user.id;
    await back.post("/mutes", { user });
    expect(await ann.say("r", "x")).not.toHaveProperty("retry_after_ms");
    // The later one holds.
    await back.post("/mutes", { user, seconds: 1 });
    const { code, retry_after_ms } = await ann.say("r", "x");
    expect(code).toBe("muted");
    await Bun.sleep(retry_after_ms + 1);
    expect(await ann.say("r", "x")).toMatchObject({ seq: 1 });
    expect((await back.get("/mutes")).body.users).toEqual([]);
    expect((await back.delete(`/mutes/${user}`)).status).toBe(404);
  });
});

test("sanctions outlive a kill, and are listed in pages", async () => {
  using folder = new TempFolder();
  const flags = ["--api-key", KEY];
  let session = "";
  {
    await using server = await ServerProcess.start(folder.path, ...flags);
    const back = await BackEnd.at(server.http);
    using ann = await Client.connect(server.url);
    session = ann.welcome.session;
    for (const user of ["zoe", "bob", ann.user.id, "ann"])
      await back.post("/bans", { user });
    await back.post("/rooms/r/mutes", { user: "ann", seconds: 600 });
    await back.post("/rooms/r/mutes", { user: "bob", seconds: 600 });
    await back.delete("/rooms/r/mutes/bob");
    await server.signal("SIGKILL");
  }
  await using server = await ServerProcess.start(folder.path, ...flags);
  const back = await BackEnd.at(server.http);
  expect((await upgrade(server.http, session)).status).toBe(403);
  const first = (await back.get("/bans?limit=3")).body;
  expect(first.users.map((u: Message) => u.user)).toEqual([
    "ann",
    "bob",
    expect.stringContaining("guest:"),
  ]);
  const rest = (await back.get(`/bans?limit=3&after=${first.next}`)).body;
  expect(rest).toEqual({ users: [{ user: "zoe", until: null }], next: null });
  const { users } = (await back.get("/rooms/r/mutes")).body;
  expect(users).toEqual([{ user: "ann", until: expect.any(Number) }]);
});

test("what a sanction must hold is checked", async () => {
  await using server = serve();
  const back = await BackEnd.at(server.http);
  for (const body of [
    {},
    { user: "" },
    { user: "x".repeat(129) },
    { user: "ann", seconds: 0 },
    { user: "ann", seconds: 1.5 },
    { user: "ann", seconds: 1e12 },
  ])
    expect((await back.post("/bans", body)).status).toBe(400);
  expect((await back.get("/bans")).body.users).toEqual([]);
});

describe.skipIf(THREADS > 1)("a ban that comes in the very moment", () => {
  const ban = (user: string, room: string) =>
    ({ kind: "ban", user, room, until: FOR_GOOD }) as const;

  test("between the look at an upgrade and the connection closes that", async () => {
    await using server = serve();
    using ann = await Client.connect(server.url);
    const { sanctions, directory } = server.roomcast.gateway!;
    const { admit } = directory;
    using _ = spyOn(directory, "admit").mockImplementation((...who) => {
      sanctions.set(ban(ann.user.id, ""));
      return admit.apply(directory, who);
    });
    const again = await Client.connect(
      server.url,
      "json",
      `session=${ann.welcome.session}`,
    );
    expect(await again.closed).toMatchObject({ code: 4021 });
  });

  test("between the look at a join and the membership refuses that", async () => {
    await using server = serve();
    using ann = await Client.connect(server.url);
    const { sanctions, meter } = server.roomcast.gateway!;
    const { turn } = meter;
    using _ = spyOn(meter, "turn").mockImplementation(() => {
      sanctions.set(ban(ann.user.id, "r"));
      return turn.call(meter);
    });
    expect(await ann.join("r")).toMatchObject({ code: "banned" });
    const back = await BackEnd.at(server.http);
    expect((await back.get("/rooms/r/members")).body.count).toBe(0);
    expect(await ann.say("r", "x")).toMatchObject({ code: "not_joined" });
  });
});
