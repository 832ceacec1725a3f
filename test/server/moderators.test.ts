import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { BackEnd, KEY, type Answered } from "../support/api.ts";
import { Client, type Message } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { SECRET, inSeconds, token } from "../support/tokens.ts";
import { freshRoom } from "./helpers.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(60_000);

/** Users whose token has `moderate` for a room, and what the API opens to them. */

const flags = ["--jwt-secret", SECRET, "--api-key", KEY];
let server: InProcessServer;
let api: BackEnd;
beforeAll(async () => {
  server = new InProcessServer(...flags);
  api = await BackEnd.at(server.http);
});
afterAll(() => server.stop());

type Rooms = Record<string, string[]>;

const as = async (sub: string, rooms?: Rooms): Promise<Client> =>
  Client.connect(server.url, "json", `token=${await token({ sub, rooms })}`);

/** Asks with a token in place of the key, and checks the answer against the document. */
const ask = (
  shown: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answered> =>
  api.ask(method, path, body, { authorization: `Bearer ${shown}` });

const moderator = (rooms: Rooms, sub = "mia"): Promise<string> =>
  token({ sub, rooms });

/** Every request that a moderator of a room may make. */
const requestsFor = (room: string): [string, string, unknown?][] => [
  ["DELETE", `/rooms/${room}/messages/1`],
  ["DELETE", `/rooms/${room}/members/ann`],
  ["POST", `/rooms/${room}/mutes`, { user: "ann", seconds: 60 }],
  ["GET", `/rooms/${room}/mutes`],
  ["DELETE", `/rooms/${room}/mutes/ann`],
  ["POST", `/rooms/${room}/bans`, { user: "ann" }],
  ["GET", `/rooms/${room}/bans`],
  ["DELETE", `/rooms/${room}/bans/ann`],
];

test("a moderator deletes a message, and everybody there is told", async () => {
  const room = freshRoom();
  using ann = await as("ann");
  await ann.join(room);
  const { seq } = await ann.say(room, "oh no");
  const shown = await moderator({ [room]: ["join", "moderate"] });
  const path = `/rooms/${room}/messages/${seq}`;
  expect((await ask(shown, "DELETE", path)).status).toBe(204);
  expect(await ann.nextAction("message_deleted")).toMatchObject({
    room,
    target: seq,
  });
});

test("a moderator takes a user out, mutes and bans it in the room, and lifts both", async () => {
  const room = freshRoom();
  const shown = await moderator({ [`${room}*`]: ["join", "moderate"] });
  using ann = await as("ann");
  const left = (): Promise<Message> => ann.nextAction("room_left");
  await ann.join(room);
  const removed = await ask(shown, "DELETE", `/rooms/${room}/members/ann`);
  expect(removed).toMatchObject({ status: 200, body: { connections: 1 } });
  expect(await left()).toMatchObject({ room, code: "removed" });
  await ann.join(room);
  await ask(shown, "POST", `/rooms/${room}/mutes`, { user: "ann" });
  expect(await ann.say(room, "x")).toMatchObject({ code: "muted" });
  await ask(shown, "DELETE", `/rooms/${room}/mutes/ann`);
  expect(await ann.say(room, "x")).toMatchObject({ action: "message_sent" });
  await ask(shown, "POST", `/rooms/${room}/bans`, { user: "ann" });
  expect(await left()).toMatchObject({ room, code: "banned" });
  expect((await ask(shown, "GET", `/rooms/${room}/bans`)).body.users).toEqual([
    { user: "ann", until: null },
  ]);
  expect(await ann.join(room)).toMatchObject({ code: "banned" });
  await ask(shown, "DELETE", `/rooms/${room}/bans/ann`);
  expect(await ann.join(room)).toMatchObject({ action: "room_joined" });
});

test("in no other room, by whatever way to write it, and not without both rights", async () => {
  const room = freshRoom();
  using ann = await as("ann");
  await ann.join(room);
  await ann.say(room, "stays");
  for (const rooms of [
    {},
    { [`${room}x`]: ["join", "moderate"] },
    { other: ["join", "moderate"] },
    { [room]: ["join", "send", "history"] },
    { [room]: ["moderate"] },
    { [room.toUpperCase()]: ["join", "moderate"] },
  ]) {
    const shown = await moderator(rooms);
    for (const [method, path, body] of requestsFor(room))
      expect(await ask(shown, method, path, body)).toMatchObject({
        status: 403,
        body: { code: "forbidden" },
      });
  }
  // Of one room it has the right; the path's name is decoded once, as where it is answered.
  const shown = await moderator({
    "%61": ["join", "moderate"],
    "a/b": ["join", "moderate"],
  });
  for (const name of ["a", "%61", "a%2Fb%2Fc", "b"])
    expect((await ask(shown, "GET", `/rooms/${name}/bans`)).status).toBe(403);
  for (const name of ["%2561", "a%2Fb", "%61%2f%62"])
    expect((await ask(shown, "GET", `/rooms/${name}/bans`)).status).toBe(200);
  const { messages } = await ann.request({ action: "get_history", room });
  expect(messages).toMatchObject([{ text: "stays" }]);
  expect(await ann.say(room, "x")).toMatchObject({ action: "message_sent" });
});

test("opens nothing but these: not what is of no room, nor what is not moderating", async () => {
  const all = await moderator({ "*": ["join", "send", "history", "moderate"] });
  for (const [method, path, body] of [
    ["GET", "/rooms"],
    ["GET", "/rooms/r"],
    ["GET", "/rooms/r/members"],
    ["GET", "/rooms/r/messages"],
    ["POST", "/rooms/r/messages", { user: "ann", text: "forged" }],
    ["GET", "/users/ann"],
    ["POST", "/users/online", { users: [] }],
    ["DELETE", "/users/ann/connections"],
    ["GET", "/bans"],
    ["POST", "/bans", { user: "ann" }],
    ["POST", "/mutes", { user: "ann" }],
    ["DELETE", "/bans/ann"],
  ] as const)
    expect(await ask(all, method, path, body)).toMatchObject({
      status: 401,
      body: { code: "unauthorized" },
    });
  // A token is no key, whatever stands beside it.
  const headers = { authorization: `Bearer ${all}` };
  for (const path of ["/rooms/r/../../bans", "/rooms/r/bans/..\\../../bans"])
    expect(
      (await fetch(`${server.http}/api/v1${path}`, { headers })).status,
    ).toBe(401);
});

test("a token that is not valid opens nothing, and is told nothing", async () => {
  const room = freshRoom();
  const rooms = { "*": ["join", "moderate"] };
  for (const shown of [
    "nonsense",
    await token({ rooms, exp: inSeconds(-60) }),
    await token({ rooms }, Buffer.from("f".repeat(32))),
    SECRET,
    `${KEY}x`,
  ])
    for (const [method, path, body] of requestsFor(room)) {
      const answer = await ask(shown, method, path, body);
      expect(answer).toMatchObject({
        status: 401,
        body: {
          code: "unauthorized",
          message: expect.stringContaining("send Authorization: Bearer"),
        },
      });
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
});

test("a moderator who is banned moderates no more", async () => {
  const room = freshRoom();
  const rooms = { "*": ["join", "moderate"] };
  const shown = await moderator(rooms, "max");
  const path = `/rooms/${room}/bans`;
  await api.post(path, { user: "max" });
  expect(await ask(shown, "DELETE", `${path}/max`)).toMatchObject({
    status: 403,
    body: { code: "banned" },
  });
  expect((await ask(shown, "GET", "/rooms/other/bans")).status).toBe(200);
  await api.post("/bans", { user: "max" });
  expect((await ask(shown, "GET", "/rooms/other/bans")).status).toBe(403);
  await api.delete("/bans/max");
  await api.delete(`${path}/max`);
  expect((await ask(shown, "GET", path)).status).toBe(200);
});

test("a moderator who asks too much is told to wait; another one is not", async () => {
  await using server = new InProcessServer(
    ...[...flags, "--max-requests-per-second", "1", "--threads", "1"],
  );
  const api = await BackEnd.at(server.http);
  const rooms = { "*": ["join", "moderate"] };
  const [mia, max] = [await moderator(rooms), await moderator(rooms, "max")];
  const get = async (shown: string): Promise<Answered> =>
    api.ask("GET", "/rooms/r/bans", undefined, {
      authorization: `Bearer ${shown}`,
    });
  let refused: Answered | undefined;
  while (refused?.status !== 429) refused = await get(mia);
  expect(refused.body).toMatchObject({
    code: "rate_limited",
    retry_after_ms: expect.any(Number),
  });
  expect(refused.headers.get("retry-after")).toBe("1");
  expect((await get(max)).status).toBe(200);
  expect((await api.get("/rooms/r/bans")).status).toBe(200);
});

test("without an API there is nothing for moderators; without tokens, only keys", async () => {
  const shown = await moderator({ "*": ["join", "moderate"] });
  const headers = { authorization: `Bearer ${shown}` };
  await using closed = new InProcessServer("--jwt-secret", SECRET);
  const path = "/api/v1/rooms/r/bans";
  expect((await fetch(closed.http + path, { headers })).status).toBe(404);
  await using keyed = new InProcessServer("--api-key", KEY);
  const answer = await fetch(keyed.http + path, { headers });
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({
    message: "send Authorization: Bearer and a key of --api-key",
  });
});
