import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { RoomcastClient, type RoomcastError } from "../../src/client/index.ts";
import { createApiFront } from "../../src/api/front.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { Moderators } from "../../src/api/moderators.ts";
import { Auth } from "../../src/auth/auth.ts";
import { readAuthSettings } from "../../src/auth/settings.ts";
import { Sanctions } from "../../src/gateway/sanctions.ts";
import { createLogger } from "../../src/logging/logger.ts";
import { GatewayStats } from "../../src/stats/gateway-stats.ts";
import { BackEnd, KEY } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { Proxy } from "../support/proxy.ts";
import { Random, testSeed } from "../support/random.ts";
import { InProcessServer } from "../support/server.ts";
import { event, range, say, seqs, texts } from "./helpers.ts";

// The preload's reaches only the first file of a run. It only ends what hangs.
setDefaultTimeout(60_000);

const serve = (...flags: string[]): InProcessServer =>
  new InProcessServer("--api-key", `not-this-one-but-another,${KEY}`, ...flags);

const bearer = { authorization: `Bearer ${KEY}` };

/** Where no token is taken. */
const nobodyModerates = (): Moderators => {
  const settings = readAuthSettings(loadConfig(parseCommandLine([]), {}));
  return new Moderators(new Auth(settings, () => {}), new Sanctions(), 1);
};

describe("the way in", () => {
  test("is not there without a key", async () => {
    await using server = new InProcessServer();
    for (const path of ["/api/v1/rooms", "/api/v1/openapi.json", "/api/v1"]) {
      const answer = await fetch(`${server.http}${path}`, { headers: bearer });
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ code: "not_found" });
    }
  });

  test("opens to each key and to nothing else", async () => {
    await using server = serve();
    const status = async (authorization?: string): Promise<number> => {
      const answer = await fetch(`${server.http}/api/v1/rooms`, {
        headers: authorization === undefined ? {} : { authorization },
        keepalive: false,
      });
      if (answer.status === 401) {
        expect(answer.headers.get("www-authenticate")).toBe("Bearer");
        const body = await answer.text();
        expect(JSON.parse(body)).toMatchObject({ code: "unauthorized" });
        expect(body).not.toContain(KEY);
      }
      return answer.status;
    };
    expect(await status(`Bearer ${KEY}`)).toBe(200);
    expect(await status("Bearer not-this-one-but-another")).toBe(200);
    for (const wrong of [undefined, "", KEY, `Bearer ${KEY}x`, `Basic ${KEY}`])
      expect(await status(wrong)).toBe(401);
    // What is there is nobody else's to know.
    for (const path of ["/nothing", "/rooms/a/messages"])
      expect((await fetch(`${server.http}/api/v1${path}`)).status).toBe(401);
  });

  test("shows the document to everybody", async () => {
    await using server = serve();
    const answer = await fetch(`${server.http}/api/v1/openapi.json`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(await answer.json()).toMatchObject({ openapi: "3.1.0" });
  });

  test("answers 404 for other paths, and 405 for other methods", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    for (const path of ["", "/", "/nothing", "/rooms/", "/rooms/a/b", "/users"])
      expect(await back.get(path)).toMatchObject({
        status: 404,
        body: { code: "not_found" },
      });
    const wrong = await back.ask("DELETE", "/rooms/a/messages");
    expect(wrong).toMatchObject({
      status: 405,
      body: { code: "method_not_allowed" },
    });
    expect(wrong.headers.get("allow")).toBe("GET, HEAD, POST");
    for (const path of ["/rooms", "/openapi.json"])
      expect((await back.ask("PATCH", path)).headers.get("allow")).toBe(
        "GET, HEAD",
      );
  });

  test("answers HEAD as GET, without the body", async () => {
    await using server = serve();
    for (const path of ["/rooms", "/rooms/r/messages", "/openapi.json"]) {
      const url = `${server.http}/api/v1${path}`;
      const got = await fetch(url, { headers: bearer });
      const head = await fetch(url, { method: "HEAD", headers: bearer });
      expect(head.status).toBe(200);
      expect(await head.text()).toBe("");
      const length = Buffer.byteLength(await got.text());
      expect(head.headers.get("content-length")).toBe(`${length}`);
    }
  });

  test("says which field is wrong", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const long = "x".repeat(129);
    const to = "/rooms/a/messages";
    const good = { user: "ann", text: "x" };
    const wrong: [string, string, unknown, string, number?][] = [
      ["POST", to, "{", "JSON"],
      ["POST", to, "[]", "the body"],
      ["POST", to, "null", "the body"],
      ["POST", to, { user: "ann" }, "text"],
      ["POST", to, { ...good, text: 1 }, "text"],
      ["POST", to, { ...good, user: "" }, "user"],
      ["POST", to, { ...good, user: long }, "user"],
      ["POST", to, { ...good, from: "a\nb" }, "from"],
      ["POST", to, { ...good, data: [] }, "data"],
      ["POST", to, { ...good, text: "x".repeat(5000) }, "text", 413],
      ["POST", to, { ...good, data: { a: "x".repeat(9000) } }, "data", 413],
      ["POST", `/rooms/${long}/messages`, good, "room"],
      ["GET", "/rooms/%ff", undefined, "room"],
      ["GET", "/rooms/a%0ab", undefined, "room"],
      ["GET", "/rooms/a/messages?before=1&after=1", undefined, "before"],
      ["GET", "/rooms/a/messages?limit=0", undefined, "limit"],
      ["GET", "/rooms/a/messages?limit=-1", undefined, "limit"],
      ["GET", "/rooms/a/messages?after=1&after=2", undefined, "after"],
      ["GET", "/rooms/a/messages?after=9007199254740993", undefined, "after"],
      ["POST", "/users/online", { users: [1] }, "users"],
      ["POST", "/users/online", { users: [long] }, "users.0"],
    ];
    for (const [method, path, body, field, status = 400] of wrong) {
      const answer = await back.ask(method, path, body);
      expect(answer.status, `${method} ${path}`).toBe(status);
      expect(answer.body.message).toContain(field);
    }
    for (const key of ["k".repeat(65), "", "schl\u00fcssel"]) {
      const answer = await back.post(to, good, { "idempotency-key": key });
      expect(answer.status, key).toBe(400);
      expect(answer.body.message).toContain("Idempotency-Key");
    }
  });

  test("does nothing with a body that does not come to its end", async () => {
    const handled: string[] = [];
    const stats = new GatewayStats();
    const front = createApiFront(
      loadConfig(parseCommandLine(["--api-key", KEY]), {}),
      async ({ body }) => {
        handled.push(body);
        return { status: 200, body: "", headers: {} };
      },
      nobodyModerates(),
      createLogger("silent", { write: () => {} }),
      stats,
      1,
    );
    const pathname = "/api/v1/rooms/a/messages";
    // All of an object, but not all of the body.
    const body = new ReadableStream({
      start: (controller) =>
        controller.enqueue(Buffer.from('{"user":"ann","text":"half"}')),
    });
    const request = new Request(`http://x${pathname}`, {
      ...{ method: "POST", headers: bearer, body },
    });
    const answer = await front(request, pathname)!;
    expect(answer.status).toBe(408);
    expect(await answer.json()).toMatchObject({ code: "too_slow" });
    expect(handled).toEqual([]);
    expect(stats.apiAnswers).toEqual({ "2xx": 0, "4xx": 1, "5xx": 0 });
  });

  test("has so many requests under way, and refuses more until one ends", async () => {
    const waiting: (() => void)[] = [];
    const front = createApiFront(
      loadConfig(parseCommandLine(["--api-key", KEY]), {}),
      () =>
        new Promise((resolve) =>
          waiting.push(() => resolve({ status: 200, body: "", headers: {} })),
        ),
      nobodyModerates(),
      createLogger("silent", { write: () => {} }),
      new GatewayStats(),
    );
    const pathname = "/api/v1/rooms";
    const ask = (): Promise<Response> =>
      front(new Request(`http://x${pathname}`, { headers: bearer }), pathname)!;
    const first = range(1, 256).map(ask);
    const refused = await ask();
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await refused.json()).toMatchObject({ code: "overloaded" });
    for (const end of waiting) end();
    for (const answer of await Promise.all(first))
      expect(answer.status).toBe(200);
    const next = ask();
    await new Promise((resolve) => setImmediate(resolve));
    waiting.at(-1)!();
    expect((await next).status).toBe(200);
  });

  test("takes no more of a body than it may, whatever the headers say", async () => {
    await using server = serve();
    const path = `${server.http}/api/v1/users/online`;
    const sent = await fetch(path, {
      method: "POST",
      headers: bearer,
      body: "x".repeat(300_000),
    });
    expect(sent.status).toBe(413);
    expect(await sent.json()).toMatchObject({ code: "too_large" });

    // In chunks, without a length, and without an end.
    const { port } = server.roomcast.server;
    const socket = connect(port, "127.0.0.1");
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    socket.write(
      `POST /api/v1/users/online HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`,
    );
    const answer = await new Promise<string>((resolve) =>
      socket.once("data", (data) => resolve(data.toString())),
    );
    expect(answer).toStartWith("HTTP/1.1 413");
    socket.destroy();
  });
});

describe("messages of the back end", () => {
  test("reach the room as a user's, are stored, and sent once for each key", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    using ann = await Client.connect(server.url);
    using mia = await Client.connect(server.url, "msgpack");
    await ann.join("general");
    await mia.join("general");
    const heard = [event(ann, "general", "hi"), event(mia, "general", "hi")];
    const sent = await back.post(
      "/rooms/general/messages",
      { user: "u-7", from: "Shop", text: "hi", data: { order: 7 } },
      { "idempotency-key": "o7" },
    );
    expect(sent).toMatchObject({
      status: 201,
      body: { room: "general", id: "o7", seq: 1 },
    });
    const { epoch, ts } = sent.body;
    for (const got of await Promise.all(heard))
      expect(got).toEqual({
        action: "receive_message",
        room: "general",
        seq: 1,
        from: "Shop",
        user: "u-7",
        text: "hi",
        ts,
        id: "o7",
        data: { order: 7 },
      });
    expect(
      await back.post(
        "/rooms/general/messages",
        { user: "u-7", text: "hi again" },
        { "idempotency-key": "o7" },
      ),
    ).toMatchObject({
      status: 200,
      body: { room: "general", id: "o7", seq: 1, epoch, ts, duplicate: true },
    });
    // Without a name it is the id's.
    const next = event(ann, "general", "plain");
    await back.post("/rooms/general/messages", { user: "u-7", text: "plain" });
    expect(await next).toMatchObject({ seq: 2, from: "u-7" });
    expect(mia.events("general").length).toBeGreaterThan(0);
  });

  test("go to rooms that nobody is in, with any name", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const room = "a/b?c #ä%2F";
    const path = `/rooms/${encodeURIComponent(room)}`;
    const sent = await back.post(`${path}/messages`, { user: "u", text: "x" });
    expect(sent).toMatchObject({ status: 201, body: { room, seq: 1 } });
    expect((await back.get(path)).body).toMatchObject({
      room,
      users: 0,
      seq: 1,
    });
    using ann = await Client.connect(server.url);
    const joined = await ann.join(room, { history: 5 });
    expect(texts(joined.messages)).toEqual(["x"]);
  });
});

describe("what the back end reads", () => {
  test("is a room's history, in pages", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    using ann = await Client.connect(server.url);
    await ann.join("r");
    await say(ann, "r", 10);
    const page = async (query: string) => {
      const { body } = await back.get(`/rooms/r/messages${query}`);
      return { seqs: seqs(body.messages), more: body.more };
    };
    expect(await page("")).toEqual({ seqs: range(1, 10), more: false });
    expect(await page("?limit=3")).toEqual({ seqs: range(8, 10), more: true });
    expect(await page("?before=8&limit=3")).toEqual({
      seqs: range(5, 7),
      more: true,
    });
    expect(await page("?after=2&limit=3")).toEqual({
      seqs: range(3, 5),
      more: true,
    });
    expect(await page("?before=1")).toEqual({ seqs: [], more: false });
    const { body } = await back.get("/rooms/r/messages?after=9");
    const { messages } = await ann.request({
      action: "get_history",
      room: "r",
      after: 9,
    });
    expect(body.messages).toEqual(messages);
    expect((await back.get("/rooms/never/messages")).body.messages).toEqual([]);
  });

  test("is who is where", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    expect((await back.get("/rooms")).body).toEqual({ rooms: [], next: null });
    using ann = await Client.connect(server.url, "json", "name=Ann");
    const session = `session=${ann.welcome.session}`;
    using second = await Client.connect(server.url, "json", session);
    using bob = await Client.connect(server.url, "json", "name=Bob");
    const rooms = ["c", "a", "e", "b", "d"];
    for (const room of rooms) await ann.join(room);
    await second.join("a");
    await bob.join("a");
    await bob.join("b");
    await bob.request({ action: "leave_room", room: "b" });
    // With threads, it is answered before it is counted.
    while ((await back.get("/rooms/b/members")).body.count > 1)
      await Bun.sleep(1);
    expect((await back.get("/rooms?limit=2")).body).toEqual({
      rooms: [
        { room: "a", users: 2 },
        { room: "b", users: 1 },
      ],
      next: "b",
    });
    expect((await back.get("/rooms?limit=3&after=b")).body).toEqual({
      rooms: ["c", "d", "e"].map((room) => ({ room, users: 1 })),
      next: null,
    });
    expect((await back.get("/rooms/a/members")).body).toEqual({
      count: 2,
      members: [ann.user, bob.user].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      next: null,
    });
    expect((await back.get("/rooms/nowhere")).body).toMatchObject({
      users: 0,
      seq: 0,
    });
    expect((await back.get(`/users/${ann.user.id}`)).body).toEqual({
      user: ann.user.id,
      online: true,
      connections: 2,
    });
    expect((await back.get("/users/nobody")).body).toMatchObject({
      online: false,
      connections: 0,
    });
    const asked = [bob.user.id, "nobody", ann.user.id];
    expect((await back.post("/users/online", { users: asked })).body).toEqual({
      online: [bob.user.id, ann.user.id],
    });
  });
});

test("a room's members are listed in pages, each of them once", async () => {
  await using server = serve("--max-connections-per-address", "0");
  const back = await BackEnd.at(server.http);
  const clients = await Promise.all(
    range(1, 210).map(() => Client.connect(server.url, "msgpack", "room=r")),
  );
  for (const client of clients) await client.nextAction("room_joined");
  const ids = clients.map(({ user }) => user.id).toSorted();
  const first = await back.get("/rooms/r/members");
  expect(first.body).toMatchObject({ count: 210, next: ids[199] });
  const found: string[] = [];
  for (let after = "", pages = 0; ; pages++) {
    const { body } = await back.get(
      `/rooms/r/members?limit=100&after=${encodeURIComponent(after)}`,
    );
    found.push(...body.members.map(({ id }: { id: string }) => id));
    if (body.next === null) break;
    expect(pages).toBeLessThan(2);
    after = body.next;
  }
  expect(found).toEqual(ids);
  for (const client of clients) client.close();
});

describe("a user whom the back end sends away", () => {
  /** The same user, often enough that with threads it is at several. */
  async function often(server: InProcessServer): Promise<Client[]> {
    const first = await Client.connect(server.url, "json", "name=Ann");
    const session = `session=${first.welcome.session}`;
    const clients = [first];
    for (const format of ["msgpack", "text", "json", "json", "json"] as const)
      clients.push(
        await Client.connect(server.url, format, `${session}&room=r`),
      );
    await first.join("r");
    for (const client of clients)
      if (client.format !== "text" && client !== first)
        await client.nextAction("room_joined");
    return clients;
  }

  test("is disconnected, with a code that tells its clients to stay away", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const clients = await often(server);
    using bob = await Client.connect(server.url, "json", "room=r");
    const user = clients[0]!.user.id;
    expect(await back.delete(`/users/${user}/connections`)).toMatchObject({
      status: 200,
      body: { connections: clients.length },
    });
    for (const client of clients)
      expect(await client.closed).toEqual({
        code: 4020,
        reason: "the application sent you away",
      });
    await server.connectionsAre(1);
    expect((await back.get(`/users/${user}`)).body.online).toBe(false);
    expect((await bob.request({ action: "ping" })).action).toBe("pong");
    expect(await back.delete(`/users/${user}/connections`)).toMatchObject({
      body: { connections: 0 },
    });
  });

  test("is taken out of a room, told so, and may come again", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const clients = await often(server);
    const [ann] = clients as [Client];
    using bob = await Client.connect(server.url, "json", "room=r");
    await bob.nextAction("room_joined");
    await ann.join("other");
    const path = `/rooms/r/members/${encodeURIComponent(ann.user.id)}`;
    expect((await back.delete(path)).body).toEqual({
      connections: clients.length,
    });
    const message = 'you were taken out of room "r"';
    for (const client of clients)
      if (client.format === "text") await client.nextLine(`! ${message}`);
      else
        expect(await client.nextAction("room_left")).toEqual({
          action: "room_left",
          room: "r",
          code: "removed",
          message,
        });
    expect((await back.get("/rooms/r/members")).body).toEqual({
      count: 1,
      members: [bob.user],
      next: null,
    });
    expect(await ann.say("r", "still here?")).toMatchObject({
      code: "not_joined",
    });
    expect(await ann.say("other", "here")).toMatchObject({ seq: 1 });
    await bob.say("r", "alone");
    expect(await ann.join("r", { history: 9 })).toMatchObject({ count: 2 });
    expect(ann.events("r")).toEqual([]);
    expect((await back.delete("/rooms/r/members/nobody")).body).toEqual({
      connections: 0,
    });
    for (const client of clients) client.close();
  });

  test("stays away, as the client has it", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const chat = new RoomcastClient(server.url, { name: "Ann" });
    const [r, s] = [await chat.join("r"), await chat.join("s")];
    const out = new Promise<RoomcastError | undefined>((resolve) =>
      r.on("left", resolve),
    );
    const user = chat.user!.id;
    await back.delete(`/rooms/r/members/${user}`);
    expect(await out).toMatchObject({ code: "removed" });
    expect(r.state).toBe("left");
    expect(s.state).toBe("joined");
    await s.send("still here");
    const closed = new Promise((resolve) =>
      chat.on(
        "state",
        (change) => change.state === "closed" && resolve(change),
      ),
    );
    await back.delete(`/users/${user}/connections`);
    expect(await closed).toMatchObject({ code: 4020 });
    expect(chat.state).toBe("closed");
  });
});

describe("a message that the back end deletes", () => {
  const SECRET = "what-nobody-shall-read";

  test("is gone for everybody, who is told so live, by history and by a resume", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const clients: Client[] = [];
    for (const format of ["json", "msgpack", "text", "json", "json"] as const)
      clients.push(await Client.connect(server.url, format, "room=r"));
    const [ann, mia, line] = clients as [Client, Client, Client];
    for (const client of clients)
      if (client !== line) await client.nextAction("room_joined");
    const { epoch, ts } = await ann.say("r", "first");
    const sent = await ann.say("r", SECRET, { id: "k", data: { x: SECRET } });
    await ann.say("r", "third");
    const history = { action: "get_history", room: "r" };
    const pages = [{}, { before: 3 }, { after: 1 }, { after: 1, limit: 1 }];
    for (const client of [ann, mia])
      // What is asked now is answered from a cache if it is asked again soon.
      for (const page of pages) {
        const { messages } = await client.request({ ...history, ...page });
        expect(JSON.stringify(messages)).toContain(SECRET);
      }

    const path = "/rooms/r/messages";
    expect((await back.delete(`${path}/2`)).status).toBe(204);
    const tombstone = {
      action: "message_deleted",
      room: "r",
      seq: 2,
      target: 2,
      ts: sent.ts,
    };
    const told = {
      action: "message_deleted",
      room: "r",
      seq: 4,
      target: 2,
      ts: expect.any(Number),
    };
    for (const client of clients)
      if (client !== line)
        expect(await client.nextAction("message_deleted")).toEqual(told);
    for (const client of [ann, mia])
      for (const page of pages) {
        const { messages } = await client.request({ ...history, ...page });
        expect(JSON.stringify(messages)).not.toContain(SECRET);
        if (page.limit === undefined)
          expect(messages).toContainEqual(tombstone);
      }
    const read = await back.get(path);
    expect(read.body.messages.slice(1)).toEqual([
      tombstone,
      expect.objectContaining({ text: "third" }),
      told,
    ]);
    expect(read.body.messages[0].ts).toBe(ts);

    for (const format of ["json", "msgpack"] as const) {
      using late = await Client.connect(server.url, format);
      const joined = await late.join("r", { since: { epoch, seq: 1 } });
      expect(joined).toMatchObject({ recovered: true, seq: 4 });
      expect(joined.messages).toEqual([
        tombstone,
        expect.objectContaining({ text: "third" }),
        told,
      ]);
      using fresh = await Client.connect(server.url, format);
      const { messages } = await fresh.join("r", { history: 3 });
      expect(messages).toEqual(joined.messages);
    }

    // Its key stays known, and the room goes on.
    expect(await ann.say("r", "again", { id: "k" })).toMatchObject({
      seq: 2,
      duplicate: true,
    });
    await ann.say("r", "after");
    await line.nextLine(`[${ann.user.name}]: after`);
    expect(await event(mia, "r", "after")).toMatchObject({ seq: 5 });
    expect(line.received.map((m) => m.line)).toEqual([
      expect.stringContaining("You are connected"),
      ...["first", SECRET, "third", "after"].map(
        (text) => `[${ann.user.name}]: ${text}`,
      ),
    ]);
    for (const client of clients) client.close();
  });

  test("can be deleted once, and only if it is one", async () => {
    await using server = serve();
    const back = await BackEnd.at(server.http);
    const path = "/rooms/r/messages";
    await back.post(path, { user: "u", text: "x" });
    for (const nothing of [0, 2, 99, Number.MAX_SAFE_INTEGER])
      expect(await back.delete(`${path}/${nothing}`)).toMatchObject({
        status: 404,
        body: { code: "not_found" },
      });
    expect(await back.delete(`${path}/one`)).toMatchObject({ status: 400 });
    const both = [back.delete(`${path}/1`), back.delete(`${path}/1`)];
    for (const { status } of await Promise.all(both)) expect(status).toBe(204);
    expect((await back.delete(`${path}/1`)).status).toBe(204);
    // What tells of a deletion is no message.
    expect((await back.delete(`${path}/2`)).status).toBe(404);
    expect((await back.get("/rooms/r")).body.seq).toBe(2);
  });
});

test("clients that are lost and come back end with what the room holds, whatever was deleted meanwhile", async () => {
  const seed = testSeed();
  const random = new Random(seed);
  await using server = serve(
    "--ring-events-per-room",
    "8",
    // As fast as it can: some seeds send more than a burst.
    "--max-messages-per-second",
    "0",
  );
  const back = await BackEnd.at(server.http);
  const { port } = server.roomcast.server;
  await using proxy = await Proxy.start(port);
  const shown: Map<number, string>[] = [];
  const clients: RoomcastClient[] = [];
  const latest: (() => number)[] = [];
  for (const format of ["json", "msgpack"] as const) {
    const chat = new RoomcastClient(proxy.url, { format, name: format });
    const room = await chat.join("r");
    const held = new Map<number, string>();
    room.on("message", ({ seq, text }) => held.set(seq, text));
    room.on("deleted", ({ target }) => held.delete(target));
    room.on("reset", () => {
      throw new Error("nothing was trimmed");
    });
    clients.push(chat);
    shown.push(held);
    latest.push(() => room.position!.seq);
  }
  using bob = await Client.connect(server.url);
  await bob.join("r", { echo: false });
  const alive = new Map<number, string>();
  let last = 0;
  for (let step = 0; step < 150; step++) {
    if (random.chance(0.1)) proxy.cut();
    if (random.chance(0.4) && alive.size > 0) {
      const target = random.pick([...alive.keys()]);
      alive.delete(target);
      await back.delete(`/rooms/r/messages/${target}`);
      last++;
    } else {
      const { seq } = await bob.say("r", `m${step}`);
      expect(seq, `seed ${seed}`).toBe(last + 1);
      alive.set(seq, `m${step}`);
      last = seq;
    }
  }
  for (const at of latest) while (at() < last) await Bun.sleep(1);
  for (const held of shown)
    expect([...held].toSorted(), `seed ${seed}`).toEqual([...alive].toSorted());
  await Promise.all(clients.map((client) => client.close()));
});
