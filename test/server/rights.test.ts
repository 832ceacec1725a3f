import {
  afterAll,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { Client, type Message } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { SECRET, inSeconds, token } from "../support/tokens.ts";
import { event, freshRoom, received, texts } from "./helpers.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

/** What a token lets its bearer do, and when that changes. */

let server: InProcessServer;
beforeAll(() => {
  server = new InProcessServer("--jwt-secret", SECRET);
});
afterAll(() => server.stop());

type Rooms = Record<string, string[]>;

const as = async (sub: string, rooms?: Rooms, more = ""): Promise<Client> =>
  Client.connect(
    server.url,
    "json",
    `token=${await token({ sub, rooms })}${more}`,
  );

const FORBIDDEN = { action: "error", code: "forbidden" };

describe("in a room", () => {
  test("a token without rooms may join, send and read everywhere", async () => {
    const room = freshRoom();
    using bob = await as("bob");
    await bob.join(room);
    await bob.say(room, "one");
    expect((await bob.join(room, { history: 5 })).messages).toHaveLength(1);
  });

  test("nobody comes in whom no pattern lets in, by whatever way", async () => {
    using bob = await as("bob", { "team-*": ["join", "send"] });
    for (const room of [
      "secret",
      "Team-a",
      "team",
      "steam-a",
      "te\u0430m-a",
      "team\u2010a",
      "*",
      "t*",
    ]) {
      expect(await bob.join(room)).toMatchObject(FORBIDDEN);
      expect(await bob.join(room, { history: 10 })).toMatchObject(FORBIDDEN);
      expect(await bob.say(room, "x")).toMatchObject({ code: "not_joined" });
      for (const action of ["get_history", "get_members"])
        expect(await bob.request({ action, room })).toMatchObject({
          code: "not_joined",
        });
    }
    using ann = await as("ann", { a: ["send", "history"] }, "&room=a");
    expect(await ann.nextAction("error")).toMatchObject(FORBIDDEN);
  });

  test("who may not send does not, nor is seen typing", async () => {
    const room = freshRoom();
    using bob = await as("bob", { [room]: ["join", "history"] });
    using ann = await as("ann");
    await ann.join(room);
    await bob.join(room);
    expect(await bob.say(room, "x")).toMatchObject(FORBIDDEN);
    expect(
      await bob.request({ action: "typing", room, active: true }),
    ).toMatchObject(FORBIDDEN);
    await ann.say(room, "hello");
    await event(bob, room, "hello");
    expect(texts(ann.events(room))).toEqual(["hello"]);
    expect(received(ann, "typing")).toEqual([]);
  });

  test("who may not read history gets what comes, and nothing of before", async () => {
    const room = freshRoom();
    using ann = await as("ann");
    const { epoch } = await ann.join(room);
    await ann.say(room, "before");
    using bob = await as("bob", { [room]: ["join", "send"] });
    const seen: Message[] = [
      await bob.join(room, { history: 10 }),
      await bob.join(room, { since: { epoch, seq: 0 } }),
      await bob.join(room, { since: { epoch, seq: 0 }, history: 10 }),
    ];
    for (const joined of seen)
      expect(joined).toMatchObject({
        action: "room_joined",
        seq: 1,
        recovered: false,
        more: false,
        messages: [],
      });
    for (const extra of [{}, { after: 0 }, { before: 2 }])
      expect(
        await bob.request({ action: "get_history", room, ...extra }),
      ).toMatchObject(FORBIDDEN);
    // What it has not missed it need not be told.
    expect(await bob.join(room, { since: { epoch, seq: 1 } })).toMatchObject({
      recovered: true,
    });
    await ann.say(room, "after");
    await event(bob, room, "after");
    expect(JSON.stringify(bob.received)).not.toContain("before");
  });
});

describe("authenticate once more", () => {
  test("changes the rights in place: rooms stay, or are left with a word", async () => {
    const [kept, lost] = [freshRoom(), freshRoom()];
    using ann = await as("ann");
    await ann.join(kept);
    await ann.join(lost);
    using bob = await as("bob", { "*": ["join"] });
    await bob.join(kept);
    await bob.join(lost);
    expect(await bob.say(kept, "x")).toMatchObject(FORBIDDEN);
    const next = await token({
      sub: "bob",
      name: "Robert",
      rooms: { [kept]: ["join", "send", "history"] },
    });
    const answer = bob.request({ action: "authenticate", token: next });
    expect(await bob.nextAction("room_left")).toEqual({
      action: "room_left",
      room: lost,
      code: "forbidden",
      message: expect.any(String),
    });
    expect(await answer).toMatchObject({
      action: "authenticated",
      user: { id: "bob", name: "bob" },
    });
    expect(await bob.say(kept, "now")).toMatchObject({
      action: "message_sent",
    });
    expect(await bob.join(lost)).toMatchObject(FORBIDDEN);
    await ann.say(lost, "gone");
    await ann.say(kept, "here");
    await event(bob, kept, "here");
    expect(bob.events(lost)).toEqual([]);
    expect(
      (await ann.request({ action: "get_members", room: lost })).members,
    ).toEqual([{ id: "ann", name: "ann" }]);
  });

  test("a send that follows a token which forbids it is refused, one before it is not", async () => {
    const room = freshRoom();
    using bob = await as("bob");
    await bob.join(room);
    const less = await token({ sub: "bob", rooms: { [room]: ["join"] } });
    const [before, , after] = await Promise.all([
      bob.say(room, "before"),
      bob.request({ action: "authenticate", token: less }),
      bob.say(room, "after"),
    ]);
    expect(before).toMatchObject({ action: "message_sent" });
    expect(after).toMatchObject(FORBIDDEN);
  });

  test("takes no other user's token, and no bad one; all stays as it was", async () => {
    const room = freshRoom();
    using bob = await as("bob", { [room]: ["join"] });
    await bob.join(room);
    expect(
      await bob.request({
        action: "authenticate",
        token: await token({ sub: "root" }),
      }),
    ).toMatchObject(FORBIDDEN);
    for (const bad of [
      "nonsense",
      await token({ sub: "bob", exp: inSeconds(-60) }),
      await token({ sub: "bob" }, Buffer.from("f".repeat(32))),
    ])
      expect(
        await bob.request({ action: "authenticate", token: bad }),
      ).toMatchObject({
        code: "unauthorized",
        message: "the token is not valid",
      });
    expect(await bob.say(room, "x")).toMatchObject(FORBIDDEN);
    expect(await bob.request({ action: "ping" })).toMatchObject({
      action: "pong",
    });
  });
});

describe("a token that expires", () => {
  test("is warned of; a new one in time keeps the connection, an old one ends it with 4011", async () => {
    // It looks around every 100 ms.
    await using server = new InProcessServer(
      ...["--jwt-secret", SECRET, "--ping-interval-ms", "800"],
    );
    // With 5 s for clocks that differ, these end in 2 to 3 s.
    const short = await token({ sub: "bob", exp: inSeconds(-2) });
    using kept = await Client.connect(server.url, "json", `token=${short}`);
    using ended = await Client.connect(server.url, "msgpack", `token=${short}`);
    using line = await Client.connect(server.url, "text", `token=${short}`);
    await kept.join("r");
    const warning = await kept.nextAction("token_expires");
    expect(warning.after_ms).toBeGreaterThan(0);
    expect(warning.after_ms).toBeLessThanOrEqual(1500);
    const renewed = await kept.request({
      action: "authenticate",
      token: await token({ sub: "bob" }),
    });
    expect(renewed.expires_in_ms).toBeGreaterThan(3_000_000);
    expect(await ended.closed).toEqual({
      code: 4011,
      reason: "the token has expired",
    });
    expect(received(ended, "token_expires")).toHaveLength(1);
    expect((await line.closed).code).toBe(4011);
    expect(line.received.at(-1)!.line).toMatch(
      /^! your token expires in [12] s/,
    );
    expect(await kept.say("r", "still here")).toMatchObject({
      action: "message_sent",
    });
    expect(received(kept, "token_expires")).toHaveLength(1);
  });
});
