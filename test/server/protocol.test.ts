import {
  afterAll,
  beforeAll,
  describe,
  expect,
  test,
  setDefaultTimeout,
} from "bun:test";
import type { User } from "../../src/protocol/messages.ts";
import { Client, type Format, type Message } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import {
  Follower,
  event,
  freshRoom,
  range,
  received,
  say,
  seqs,
  texts,
} from "./helpers.ts";
import { refusal, shake } from "./raw-socket.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** The wire contract, as a client of any format sees it. */

let server: InProcessServer;
beforeAll(async () => {
  server = await InProcessServer.start(
    "--max-messages-per-second",
    "0",
    "--max-requests-per-second",
    "0",
  );
});
afterAll(() => server.stop());

const STRING = expect.any(String);
const NUMBER = expect.any(Number);

describe.each(["json", "msgpack"] as const)("in %s", (format) => {
  const connect = (query = "", to: InProcessServer = server): Promise<Client> =>
    Client.connect(to.url, format, query);

  /** Another connection of the same user. */
  const again = (client: Client, query = ""): Promise<Client> =>
    connect(`session=${client.welcome.session}&${query}`);

  describe("the welcome", () => {
    test("is the first frame, and tells who is connected, to what, with which limits", async () => {
      await using quiet = await InProcessServer.start(
        "--max-rooms-per-connection",
        "0",
      );
      using bob = await connect("name=Bob", quiet);
      expect(bob.received[0]).toEqual({
        action: "welcome",
        version: 1,
        connection: STRING,
        user: { id: expect.stringMatching(/^guest:./), name: "Bob" },
        session: STRING,
        users: 1,
        ping_interval_ms: 15000,
        limits: {
          max_frame_bytes: 65536,
          max_text_bytes: 4096,
          max_data_bytes: 8192,
          // None.
          max_rooms_per_connection: 0,
          max_messages_per_second: 50,
          max_history_per_reply: 500,
        },
      });
    });

    test("counts the users online, each once", async () => {
      await using quiet = await InProcessServer.start();
      using bob = await connect("name=Bob", quiet);
      using second = await Client.connect(
        quiet.url,
        format,
        `session=${bob.welcome.session}`,
      );
      using ann = await connect("name=Ann", quiet);
      expect(second.welcome.users).toBe(1);
      expect(ann.welcome.users).toBe(2);
    });

    test("names every connection differently", async () => {
      using one = await connect();
      using two = await again(one);
      expect(one.welcome.connection).not.toBe(two.welcome.connection);
    });
  });

  describe("join_room", () => {
    test("answers position 0 in an empty room", async () => {
      using bob = await connect();
      const room = freshRoom();
      bob.send({ action: "join_room", ref: 4294967295, room });
      expect(await bob.nextAction("room_joined")).toEqual({
        action: "room_joined",
        ref: 4294967295,
        room,
        epoch: STRING,
        seq: 0,
        recovered: false,
        messages: [],
        more: false,
        count: 1,
      });
    });

    test("happens at once where the address asks for it, and answers without a ref", async () => {
      const room = freshRoom();
      using bob = await connect(`room=${room}`);
      const joined = await bob.nextAction("room_joined");
      expect(joined).toMatchObject({ room, seq: 0, count: 1 });
      expect(joined).not.toHaveProperty("ref");
    });

    test("sends no history where none was asked for", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      await say(bob, room, 3);
      using ann = await connect();
      expect(await ann.join(room)).toMatchObject({
        seq: 3,
        recovered: false,
        messages: [],
        count: 2,
      });
    });

    test("sends the latest history, ascending, as whole messages", async () => {
      using bob = await connect("name=Bob");
      const room = freshRoom();
      const { epoch } = await bob.join(room);
      await say(bob, room, 5);
      using ann = await connect();
      const joined = await ann.join(room, { history: 2 });
      expect(joined).toEqual({
        action: "room_joined",
        ref: NUMBER,
        room,
        epoch,
        seq: 5,
        recovered: false,
        more: true,
        count: 2,
        messages: [4, 5].map((seq) => ({
          action: "receive_message",
          room,
          seq,
          from: "Bob",
          user: bob.user.id,
          text: `m${seq - 1}`,
          ts: NUMBER,
        })),
      });
    });

    test("says that there is no more where the history is whole", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      await say(bob, room, 3);
      using ann = await connect();
      const joined = await ann.join(room, { history: 3 });
      expect(seqs(joined.messages)).toEqual([1, 2, 3]);
      expect(joined.more).toBe(false);
    });

    test("with since gives exactly what was missed, then live events", async () => {
      using bob = await connect();
      const room = freshRoom();
      const { epoch } = await bob.join(room);
      await say(bob, room, 6);
      using ann = await connect();
      const joined = await ann.join(room, {
        since: { epoch, seq: 2 },
        history: 1,
      });
      expect(joined).toMatchObject({ seq: 6, recovered: true, more: false });
      expect(seqs(joined.messages)).toEqual([3, 4, 5, 6]);
      await bob.say(room, "live");
      expect((await event(ann, room, "live")).seq).toBe(7);
      expect(seqs(ann.events(room))).toEqual([7]);
    });

    test("with since gives nothing where nothing was missed, also before the first event", async () => {
      using bob = await connect();
      const room = freshRoom();
      const { epoch } = await bob.join(room);
      expect(await bob.join(room, { since: { epoch, seq: 0 } })).toMatchObject({
        seq: 0,
        recovered: true,
        messages: [],
        more: false,
      });
      await say(bob, room, 2);
      expect(await bob.join(room, { since: { epoch, seq: 2 } })).toMatchObject({
        seq: 2,
        recovered: true,
        messages: [],
        more: false,
      });
      const all = await bob.join(room, { since: { epoch, seq: 0 } });
      expect(seqs(all.messages)).toEqual([1, 2]);
      expect(all.recovered).toBe(true);
    });

    test.each([
      ["another epoch", (epoch: string) => ({ epoch: `${epoch}x`, seq: 2 })],
      ["a position beyond the head", (epoch: string) => ({ epoch, seq: 4 })],
    ])(
      "says that %s is not recovered, and gives the history",
      async (_, since) => {
        using bob = await connect();
        const room = freshRoom();
        const { epoch } = await bob.join(room);
        await say(bob, room, 3);
        const joined = await bob.join(room, {
          since: since(epoch),
          history: 2,
        });
        expect(joined).toMatchObject({ seq: 3, recovered: false, epoch });
        expect(seqs(joined.messages)).toEqual([2, 3]);
        expect(await bob.join(room, { since: since(epoch) })).toMatchObject({
          recovered: false,
          messages: [],
        });
      },
    );

    test("with echo false hides what this connection sent, and only that", async () => {
      using bob = await connect("name=Bob");
      using other = await again(bob);
      using ann = await connect();
      const room = freshRoom();
      const { epoch } = await bob.join(room, { echo: false });
      await other.join(room);
      await ann.join(room, { echo: false });
      await bob.say(room, "from this connection");
      await other.say(room, "from the user's other connection");
      await ann.say(room, "from Ann");
      await event(bob, room, "from Ann");
      expect(texts(bob.events(room))).toEqual([
        "from the user's other connection",
        "from Ann",
      ]);
      await event(other, room, "from Ann");
      expect(seqs(other.events(room))).toEqual([1, 2, 3]);
      const replayed = await bob.join(room, {
        since: { epoch, seq: 0 },
        echo: false,
      });
      expect(seqs(replayed.messages)).toEqual([1, 2, 3]);
    });

    test("again repositions: since and echo apply anew, and no event comes twice", async () => {
      using bob = await connect();
      using ann = await connect();
      const room = freshRoom();
      const { epoch } = await bob.join(room, { echo: false });
      await ann.join(room);
      await bob.say(room, "unseen");
      const joined = await bob.join(room, { since: { epoch, seq: 0 } });
      expect(joined).toMatchObject({ seq: 1, recovered: true, count: 2 });
      expect(texts(joined.messages)).toEqual(["unseen"]);
      await bob.say(room, "seen");
      await ann.say(room, "last");
      await event(bob, room, "last");
      expect(texts(bob.events(room))).toEqual(["seen", "last"]);
      await bob.join(room, { echo: false });
      await bob.say(room, "unseen again");
      await ann.say(room, "the end");
      await event(bob, room, "the end");
      expect(texts(bob.events(room))).toEqual(["seen", "last", "the end"]);
    });

    test("works in many rooms at once, each with its own positions", async () => {
      using bob = await connect();
      const names = Array.from({ length: 20 }, freshRoom);
      await Promise.all(names.map((room) => bob.join(room)));
      for (const room of names) {
        const [ack] = await say(bob, room, 1);
        expect(ack).toMatchObject({ room, seq: 1 });
      }
    });

    test("takes names of 1 to 128 bytes, in any script", async () => {
      using bob = await connect();
      for (const room of [
        "a",
        "x".repeat(128),
        "ü".repeat(64),
        "部屋 🦉",
        "a/b#1/json",
      ]) {
        await bob.join(room);
        const seen = event(bob, room, "hi");
        await bob.say(room, "hi");
        expect((await seen).room).toBe(room);
      }
    });
  });

  describe("leave_room", () => {
    test("is answered, and ends the events", async () => {
      using bob = await connect();
      using ann = await connect();
      const room = freshRoom();
      await bob.join(room);
      await ann.join(room);
      bob.send({ action: "leave_room", ref: 0, room });
      expect(await bob.nextAction("room_left")).toEqual({
        action: "room_left",
        ref: 0,
        room,
      });
      await ann.say(room, "unheard");
      await bob.join(room);
      await ann.say(room, "heard");
      await event(bob, room, "heard");
      expect(texts(bob.events(room))).toEqual(["heard"]);
    });

    test("after it, and before a join, every action on the room answers not_joined", async () => {
      using bob = await connect();
      const [left, never] = [freshRoom(), freshRoom()];
      await bob.join(left);
      await bob.request({ action: "leave_room", room: left });
      for (const room of [left, never])
        for (const request of [
          { action: "leave_room" },
          { action: "send_message", text: "x" },
          { action: "get_history" },
          { action: "get_members" },
          { action: "typing", active: true },
        ])
          expect(await bob.request({ ...request, room })).toMatchObject({
            action: "error",
            code: "not_joined",
          });
    });
  });

  describe("send_message", () => {
    test("is acknowledged, and received by everybody in the room", async () => {
      using bob = await connect("name=Bob");
      using ann = await connect("name=Ann");
      const room = freshRoom();
      const { epoch } = await bob.join(room);
      await ann.join(room);
      const before = Date.now();
      const data = { nested: [1, { two: null }], yes: true };
      bob.send({
        action: "send_message",
        ref: 7,
        room,
        text: "Hi everyone",
        id: "k1",
        data,
      });
      const ack = await bob.nextAction("message_sent");
      expect(ack).toEqual({
        action: "message_sent",
        ref: 7,
        room,
        id: "k1",
        seq: 1,
        epoch,
        ts: NUMBER,
      });
      expect(ack.ts).toBeWithin(before, Date.now() + 1);
      const message = {
        action: "receive_message",
        room,
        seq: 1,
        from: "Bob",
        user: bob.user.id,
        text: "Hi everyone",
        ts: ack.ts,
        id: "k1",
        data,
      };
      expect(await event(ann, room, "Hi everyone")).toEqual(message);
      expect(bob.events(room)).toEqual([message]);
    });

    test("leaves out what was not given: ref, id, data, and prev where it is seq - 1", async () => {
      using bob = await connect("name=Bob");
      const room = freshRoom();
      await bob.join(room);
      const seen = event(bob, room, "bare");
      bob.send({ action: "send_message", room, text: "bare" });
      expect(Object.keys(await seen).sort()).toEqual([
        "action",
        "from",
        "room",
        "seq",
        "text",
        "ts",
        "user",
      ]);
      expect(Object.keys(await bob.nextAction("message_sent")).sort()).toEqual([
        "action",
        "epoch",
        "room",
        "seq",
        "ts",
      ]);
    });

    test("keeps the order of one connection's messages, each with a seq of its own", async () => {
      using bob = await connect();
      using ann = await connect();
      const room = freshRoom();
      await bob.join(room);
      await ann.join(room);
      const acks = await say(bob, room, 300);
      expect(seqs(acks)).toEqual(range(1, 300));
      await bob.say(room, "last");
      await event(ann, room, "last");
      expect(texts(ann.events(room))).toEqual([
        ...range(0, 299).map((i) => `m${i}`),
        "last",
      ]);
      expect(seqs(ann.events(room))).toEqual(range(1, 301));
    });

    test("is acknowledged in its place among the room's events", async () => {
      using bob = await connect();
      using ann = await connect();
      const room = freshRoom();
      await bob.join(room, { echo: false });
      await ann.join(room);
      await Promise.all([say(bob, room, 100), say(ann, room, 100)]);
      const last = event(bob, room, "last");
      await ann.say(room, "last");
      await last;
      const positions = bob.received.filter(
        (m) =>
          (m.action === "receive_message" && m.room === room) ||
          m.action === "message_sent",
      );
      expect(seqs(positions)).toEqual(range(1, 201));
    });

    test("carries any text and any data that JSON can hold", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      const data = {
        "": "",
        "line\nbreak": "\u0000\u001f",
        list: [0, -1, 1.5, 1e300, -(2 ** 53) + 1, true, false, null, [], {}],
        "🦉": { constructor: "x", toString: 1, hasOwnProperty: null },
      };
      const text = '\u0000 \n \u2028 🦉 \uffff "quoted" \\ ümläut';
      const seen = event(bob, room, text);
      await bob.say(room, text, { data });
      expect((await seen).data).toEqual(data);
      const history = await bob.request({ action: "get_history", room });
      expect(history.messages[0]).toMatchObject({ text, data });
    });

    test("may be empty", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      const seen = event(bob, room, "");
      expect(await bob.say(room, "")).toMatchObject({ seq: 1 });
      expect((await seen).data).toBeUndefined();
    });
  });

  describe("an idempotency key", () => {
    test("sent again while the first is in flight yields the first ack, and one event", async () => {
      using bob = await connect();
      using ann = await connect();
      const room = freshRoom();
      await bob.join(room);
      await ann.join(room);
      const [first, repeat] = await Promise.all([
        bob.say(room, "first", { id: "k" }),
        bob.say(room, "repeat", { id: "k" }),
      ]);
      expect(first).not.toHaveProperty("duplicate");
      expect(repeat).toEqual({
        ...first,
        ref: repeat!.ref,
        duplicate: true,
      });
      await bob.say(room, "last");
      await event(ann, room, "last");
      expect(texts(ann.events(room))).toEqual(["first", "last"]);
    });

    test("sent again later yields the first ack, whatever the text", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      const first = await bob.say(room, "first", { id: "k" });
      await bob.say(room, "between");
      const repeat = await bob.say(room, "another text", {
        id: "k",
        data: { other: 1 },
      });
      expect(repeat).toEqual({ ...first, ref: repeat.ref, duplicate: true });
      const history = await bob.request({ action: "get_history", room });
      expect(texts(history.messages)).toEqual(["first", "between"]);
    });

    test("is the user's: another connection of the same user repeats it", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      const first = await bob.say(room, "x", { id: "k" });
      bob.close();
      await bob.closed;
      using back = await again(bob);
      await back.join(room);
      expect(await back.say(room, "x", { id: "k" })).toMatchObject({
        seq: first.seq,
        ts: first.ts,
        duplicate: true,
      });
    });

    test("of another user, or in another room, is another message", async () => {
      using bob = await connect();
      using ann = await connect();
      const [room, other] = [freshRoom(), freshRoom()];
      for (const client of [bob, ann]) {
        await client.join(room);
        await client.join(other);
      }
      const acks = [
        await bob.say(room, "x", { id: "k" }),
        await ann.say(room, "x", { id: "k" }),
        await bob.say(other, "x", { id: "k" }),
        await bob.say(room, "x", { id: "K" }),
      ];
      expect(acks.map((ack) => [ack.seq, ack.duplicate])).toEqual([
        [1, undefined],
        [2, undefined],
        [1, undefined],
        [3, undefined],
      ]);
    });

    test("may have 64 characters, also such that take two units of UTF-16", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      for (const id of ["k".repeat(64), "🦉".repeat(64)])
        expect(await bob.say(room, "x", { id })).toMatchObject({
          action: "message_sent",
          id,
        });
      for (const id of ["", "k".repeat(65), "🦉".repeat(65)])
        expect(await bob.say(room, "x", { id })).toMatchObject({
          code: "invalid_field",
          message: expect.stringContaining("id"),
        });
    });
  });

  describe("get_history", () => {
    let bob: Client;
    let room: string;
    beforeAll(async () => {
      bob = await connect("name=Bob");
      room = freshRoom();
      await bob.join(room);
      await say(bob, room, 20);
    });
    afterAll(() => bob.close());

    const history = (extra: Message): Promise<Message> =>
      bob.request({ action: "get_history", room, ...extra });

    test("answers whole messages under the epoch", async () => {
      const { epoch } = await bob.join(room);
      bob.send({ action: "get_history", ref: 5, room, limit: 1 });
      expect(await bob.nextAction("history")).toEqual({
        action: "history",
        ref: 5,
        room,
        epoch,
        more: true,
        messages: [
          {
            action: "receive_message",
            room,
            seq: 20,
            from: "Bob",
            user: bob.user.id,
            text: "m19",
            ts: NUMBER,
          },
        ],
      });
    });

    test.each([
      ["the latest", {}, range(1, 20), false],
      ["the latest few", { limit: 3 }, [18, 19, 20], true],
      ["as many as there are", { limit: 20 }, range(1, 20), false],
      ["those before", { before: 5 }, [1, 2, 3, 4], false],
      ["the latest before", { before: 15, limit: 2 }, [13, 14], true],
      ["nothing before the first", { before: 1 }, [], false],
      ["nothing before 0", { before: 0 }, [], false],
      [
        "all before what lies beyond the head",
        { before: 999 },
        range(1, 20),
        false,
      ],
      ["those after", { after: 17 }, [18, 19, 20], false],
      ["the oldest after", { after: 3, limit: 2 }, [4, 5], true],
      ["all after 0", { after: 0 }, range(1, 20), false],
      ["nothing after the last", { after: 20 }, [], false],
      ["nothing after what lies beyond the head", { after: 999 }, [], false],
    ])("gives %s", async (_, extra, expected, more) => {
      const answer = await history(extra);
      expect(seqs(answer.messages)).toEqual(expected);
      expect(answer.more).toBe(more);
    });

    test("refuses before together with after", async () => {
      expect(await history({ before: 5, after: 2 })).toMatchObject({
        code: "invalid_field",
        message: expect.stringMatching(/before.*after/),
      });
    });

    test("cuts a limit that is too large, in both directions, and history at joining", async () => {
      await using small = await InProcessServer.start(
        "--max-history-per-reply",
        "10",
      );
      using ann = await connect("", small);
      await ann.join("r");
      await say(ann, "r", 25);
      const ask = (extra: Message): Promise<Message> =>
        ann.request({ action: "get_history", room: "r", ...extra });
      for (const limit of [11, 1_000_000, Number.MAX_SAFE_INTEGER]) {
        const latest = await ask({ limit });
        expect([seqs(latest.messages), latest.more]).toEqual([
          range(16, 25),
          true,
        ]);
        const oldest = await ask({ limit, after: 2 });
        expect([seqs(oldest.messages), oldest.more]).toEqual([
          range(3, 12),
          true,
        ]);
        const joined = await ann.join("r", { history: limit });
        expect([seqs(joined.messages), joined.more]).toEqual([
          range(16, 25),
          true,
        ]);
      }
    });
  });

  describe("a long reply", () => {
    test("is cut and paged, while live events go on, without a gap or a repeat", async () => {
      await using small = await InProcessServer.start(
        "--max-history-per-reply",
        "10",
        "--max-messages-per-second",
        "0",
      );
      using bob = await connect("", small);
      const { epoch } = await bob.join("r");
      await say(bob, "r", 95, "missed");
      using ann = await connect("", small);
      const joined = await ann.join("r", { since: { epoch, seq: 3 } });
      expect(joined).toMatchObject({ seq: 95, recovered: true, more: true });
      expect(seqs(joined.messages)).toEqual(range(4, 13));

      const follower = new Follower(3);
      for (const missed of joined.messages) follower.take(missed);
      for (let n = 0; follower.position < joined.seq; n++) {
        const [page] = await Promise.all([
          ann.request({
            action: "get_history",
            room: "r",
            after: follower.position,
          }),
          bob.say("r", `live${n}`),
        ]);
        expect(page.messages.length).toBeLessThanOrEqual(10);
        for (const missed of page.messages)
          if (missed.seq <= joined.seq) follower.take(missed);
      }
      expect(follower.position).toBe(95);
      expect(ann.events("r").length).toBeGreaterThan(0);
      const { seq } = await bob.say("r", "last");
      if (!texts(ann.events("r")).includes("last"))
        await event(ann, "r", "last");
      // Live events start right after the reply's position.
      expect(seqs(ann.events("r"))).toEqual(range(96, seq));
      for (const live of ann.events("r")) follower.take(live);
      expect(seqs(follower.events)).toEqual(range(4, seq));
      expect(follower.repeats).toBe(0);
    });

    test("ends at its bytes, from the end that was asked for", async () => {
      await using small = await InProcessServer.start(
        "--max-reply-bytes",
        "2000",
      );
      using bob = await connect("", small);
      const { epoch } = await bob.join("r");
      for (let i = 0; i < 10; i++) await bob.say("r", "x".repeat(500));
      const missed = await bob.join("r", { since: { epoch, seq: 1 } });
      expect(missed).toMatchObject({ recovered: true, more: true });
      expect(missed.messages.length).toBeWithin(1, 5);
      expect(missed.messages[0].seq).toBe(2);
      const latest = await bob.request({ action: "get_history", room: "r" });
      expect(latest.more).toBe(true);
      expect(latest.messages.length).toBeWithin(1, 5);
      expect(latest.messages.at(-1).seq).toBe(10);
    });

    test("holds at least one event, however large", async () => {
      await using small = await InProcessServer.start(
        "--max-reply-bytes",
        "1024",
      );
      using bob = await connect("", small);
      const { epoch } = await bob.join("r");
      for (let i = 0; i < 3; i++) await bob.say("r", "x".repeat(4000));
      const missed = await bob.join("r", { since: { epoch, seq: 0 } });
      expect(missed).toMatchObject({ recovered: true, more: true });
      expect(seqs(missed.messages)).toEqual([1]);
      const next = await bob.request({
        action: "get_history",
        room: "r",
        after: 1,
      });
      expect([seqs(next.messages), next.more]).toEqual([[2], true]);
      const last = await bob.request({
        action: "get_history",
        room: "r",
        after: 2,
      });
      expect([seqs(last.messages), last.more]).toEqual([[3], false]);
    });
  });

  describe("get_members", () => {
    test("lists each user once, however many connections it has", async () => {
      using bob = await connect("name=Bob");
      using second = await again(bob);
      using ann = await connect("name=Ann");
      const room = freshRoom();
      for (const client of [bob, second, ann]) await client.join(room);
      ann.send({ action: "get_members", ref: 3, room });
      expect(await ann.nextAction("members")).toEqual({
        action: "members",
        ref: 3,
        room,
        count: 2,
        members: [
          { id: bob.user.id, name: "Bob" },
          { id: ann.user.id, name: "Ann" },
        ],
      });
    });

    test("lists at most 200, and counts all", async () => {
      const room = freshRoom();
      const crowd = await Promise.all(
        range(1, 203).map(() => connect(`room=${room}`)),
      );
      await Promise.all(crowd.map((c) => c.nextAction("room_joined")));
      const { count, members } = await crowd[0]!.request({
        action: "get_members",
        room,
      });
      expect(count).toBe(203);
      expect(new Set(members.map((m: Message) => m.id)).size).toBe(200);
      for (const client of crowd) client.close();
    });

    test("no longer lists a connection that ended", async () => {
      using bob = await connect();
      using ann = await connect();
      const room = freshRoom();
      await bob.join(room);
      await ann.join(room);
      await bob.next((m) => m.action === "members_changed" && m.count === 2);
      ann.close();
      await bob.next((m) => m.action === "members_changed" && m.count === 1);
      const { members } = await bob.request({ action: "get_members", room });
      expect(members).toEqual([bob.user]);
    });
  });

  describe("members_changed", () => {
    const changed = (client: Client, room: string): Promise<Message> =>
      client.next((m) => m.action === "members_changed" && m.room === room);

    test("tells the members who joined and who left", async () => {
      using bob = await connect();
      using ann = await connect("name=Ann");
      const room = freshRoom();
      await bob.join(room);
      await changed(bob, room);
      await ann.join(room);
      expect(await changed(bob, room)).toEqual({
        action: "members_changed",
        room,
        joined: [ann.user],
        left: [],
        count: 2,
      });
      await ann.request({ action: "leave_room", room });
      expect(await changed(bob, room)).toEqual({
        action: "members_changed",
        room,
        joined: [],
        left: [ann.user],
        count: 1,
      });
    });

    test("collects changes that come together", async () => {
      using bob = await connect();
      const room = freshRoom();
      await bob.join(room);
      await changed(bob, room);
      const crowd = await Promise.all(range(1, 30).map(() => connect()));
      await Promise.all(crowd.map((client) => client.join(room)));
      await bob.next((m) => m.action === "members_changed" && m.count === 31);
      const changes = received(bob, "members_changed").slice(1);
      expect(changes.length).toBeLessThan(30);
      expect(
        changes.flatMap((m) => m.joined.map((u: Message) => u.id)).sort(),
      ).toEqual(crowd.map((client) => client.user.id).sort());
      for (const client of crowd) client.close();
    });

    test("does not tell of what cancels out", async () => {
      using bob = await connect();
      using ann = await connect("name=Ann");
      using eve = await connect("name=Eve");
      const room = freshRoom();
      await bob.join(room);
      await changed(bob, room);
      await Promise.all([
        ann.join(room),
        ann.request({ action: "leave_room", room }),
      ]);
      await eve.join(room);
      expect(await changed(bob, room)).toMatchObject({
        joined: [eve.user],
        left: [],
        count: 2,
      });
      await Promise.all([
        eve.request({ action: "leave_room", room }),
        eve.join(room),
      ]);
      await ann.join(room);
      expect(await changed(bob, room)).toMatchObject({
        joined: [ann.user],
        left: [],
        count: 3,
      });
    });

    test("counts a user with several connections once", async () => {
      using bob = await connect();
      using ann = await connect("name=Ann");
      using second = await again(ann);
      using eve = await connect("name=Eve");
      const room = freshRoom();
      await bob.join(room);
      await changed(bob, room);
      await ann.join(room);
      expect((await changed(bob, room)).joined).toEqual([ann.user]);
      expect((await second.join(room)).count).toBe(2);
      await ann.request({ action: "leave_room", room });
      await eve.join(room);
      // Neither the second connection's coming nor the first one's going was a change.
      expect(await changed(bob, room)).toMatchObject({
        joined: [eve.user],
        left: [],
        count: 3,
      });
      second.close();
      expect(await changed(bob, room)).toMatchObject({
        joined: [],
        left: [ann.user],
        count: 2,
      });
    });

    test("tells only the count in a large room", async () => {
      await using small = await InProcessServer.start(
        "--presence-detail-users",
        "2",
      );
      using bob = await connect("", small);
      await bob.join("r");
      await changed(bob, "r");
      using ann = await connect("room=r", small);
      expect(await changed(bob, "r")).toMatchObject({ joined: [ann.user] });
      using eve = await connect("room=r", small);
      expect(await changed(bob, "r")).toEqual({
        action: "members_changed",
        room: "r",
        count: 3,
      });
      eve.close();
      expect(await changed(bob, "r")).toMatchObject({
        left: [eve.user],
        count: 2,
      });
    });
  });

  describe("typing", () => {
    test("is told to the others, not to the sender, and has no answer", async () => {
      using bob = await connect("name=Bob");
      using second = await again(bob);
      using ann = await connect();
      const room = freshRoom();
      for (const client of [bob, second, ann]) await client.join(room);
      for (const active of [true, false]) {
        const told = [ann, second].map((client) => client.nextAction("typing"));
        bob.send({ action: "typing", ref: 4_000_000_000, room, active });
        for (const typing of await Promise.all(told))
          expect(typing).toEqual({
            action: "typing",
            room,
            user: bob.user.id,
            from: "Bob",
            active,
          });
      }
      await bob.say(room, "said");
      expect(received(bob, "typing")).toEqual([]);
      expect(bob.received.filter((m) => m.ref === 4_000_000_000)).toEqual([]);
    });

    test("is not told in a large room", async () => {
      await using small = await InProcessServer.start(
        "--presence-detail-users",
        "2",
      );
      using bob = await connect("", small);
      using ann = await connect("", small);
      using eve = await connect("", small);
      await bob.join("r");
      await ann.join("r");
      const told = ann.nextAction("typing");
      bob.send({ action: "typing", room: "r", active: true });
      await told;
      await eve.join("r");
      // Bob's gateway knows of it.
      await bob.next((m) => m.action === "members_changed" && m.count === 3);
      bob.send({ action: "typing", room: "r", active: false });
      const seen = event(ann, "r", "said");
      await bob.say("r", "said");
      await seen;
      expect(received(ann, "typing")).toHaveLength(1);
    });
  });

  test("ping is answered pong, with the ref where there was one", async () => {
    using bob = await connect();
    bob.send({ action: "ping", ref: 0 });
    expect(await bob.nextAction("pong")).toEqual({ action: "pong", ref: 0 });
    bob.send({ action: "ping" });
    expect(await bob.nextAction("pong")).toEqual({ action: "pong" });
  });

  describe("an error", () => {
    const ROOM = "errors";
    let bob: Client;
    beforeAll(async () => {
      bob = await connect();
      await bob.join(ROOM);
    });
    afterAll(() => bob.close());

    test.each<[string, Message, string, string]>([
      ["no action", {}, "invalid_field", "action"],
      ["an action that is no string", { action: 5 }, "invalid_field", "action"],
      ["an unknown action", { action: "dance" }, "unknown_action", "dance"],
      [
        "an action of every object",
        { action: "toString" },
        "unknown_action",
        "toString",
      ],
      ["no room", { action: "join_room" }, "invalid_field", "room"],
      [
        "a room that is no string",
        { action: "join_room", room: 1 },
        "invalid_field",
        "room",
      ],
      [
        "an empty room",
        { action: "join_room", room: "" },
        "invalid_field",
        "room",
      ],
      [
        "a room of 129 bytes",
        { action: "join_room", room: `x${"ü".repeat(64)}` },
        "invalid_field",
        "room",
      ],
      [
        "a control character in a room",
        { action: "join_room", room: "a\u0007" },
        "invalid_field",
        "room",
      ],
      [
        "a line break in a room",
        { action: "join_room", room: "a\nb" },
        "invalid_field",
        "room",
      ],
      [
        "a line separator in a room",
        { action: "join_room", room: "a\u2028" },
        "invalid_field",
        "room",
      ],
      [
        "a bad room elsewhere",
        { action: "get_members", room: "\u0000" },
        "invalid_field",
        "room",
      ],
      [
        "since that is no object",
        { action: "join_room", room: ROOM, since: 5 },
        "invalid_field",
        "since",
      ],
      [
        "since without an epoch",
        { action: "join_room", room: ROOM, since: { seq: 1 } },
        "invalid_field",
        "since.epoch",
      ],
      [
        "a negative since",
        { action: "join_room", room: ROOM, since: { epoch: "e", seq: -1 } },
        "invalid_field",
        "since.seq",
      ],
      [
        "a broken since",
        { action: "join_room", room: ROOM, since: { epoch: "e", seq: 1.5 } },
        "invalid_field",
        "since.seq",
      ],
      [
        "a negative history",
        { action: "join_room", room: ROOM, history: -1 },
        "invalid_field",
        "history",
      ],
      [
        "echo that is no boolean",
        { action: "join_room", room: ROOM, echo: "yes" },
        "invalid_field",
        "echo",
      ],
      [
        "no text",
        { action: "send_message", room: ROOM },
        "invalid_field",
        "text",
      ],
      [
        "text that is no string",
        { action: "send_message", room: ROOM, text: null },
        "invalid_field",
        "text",
      ],
      [
        "an id that is no string",
        { action: "send_message", room: ROOM, text: "x", id: 7 },
        "invalid_field",
        "id",
      ],
      [
        "data that is a list",
        { action: "send_message", room: ROOM, text: "x", data: [1] },
        "invalid_field",
        "data",
      ],
      [
        "data that is a string",
        { action: "send_message", room: ROOM, text: "x", data: "d" },
        "invalid_field",
        "data",
      ],
      [
        "data that is null",
        { action: "send_message", room: ROOM, text: "x", data: null },
        "invalid_field",
        "data",
      ],
      [
        "before that is no integer",
        { action: "get_history", room: ROOM, before: "1" },
        "invalid_field",
        "before",
      ],
      [
        "a negative after",
        { action: "get_history", room: ROOM, after: -5 },
        "invalid_field",
        "after",
      ],
      [
        "a limit of 0",
        { action: "get_history", room: ROOM, limit: 0 },
        "invalid_field",
        "limit",
      ],
      [
        "active that is no boolean",
        { action: "typing", room: ROOM, active: 1 },
        "invalid_field",
        "active",
      ],
    ])(
      "for %s names the field and repeats the ref",
      async (_, request, code, field) => {
        const answer = await bob.request(request);
        expect(answer).toEqual({
          action: "error",
          ref: NUMBER,
          code,
          message: expect.stringContaining(field),
        });
      },
    );

    test.each([[-1], [0.5], [4294967296], ["1"], [null], [{}]])(
      "repeats no ref that is none: %p",
      async (ref) => {
        bob.send({ action: "ping", ref });
        const answer = await bob.nextAction("error");
        expect(answer).toEqual({
          action: "error",
          code: "invalid_field",
          message: expect.stringContaining("ref"),
        });
      },
    );

    test("for what is no object comes without a ref", async () => {
      for (const frame of [[], [1, 2], "text", 5, true, null]) {
        using eve = await connect();
        if (format === "json") eve.send(JSON.stringify(frame));
        else eve.send(frame as unknown as Message);
        expect(await eve.nextAction("error")).toEqual({
          action: "error",
          code: "bad_frame",
          message: STRING,
        });
      }
    });

    test("for a frame of the other kind says what this connection speaks", async () => {
      using eve = await connect();
      if (format === "json") eve.socket.send(new Uint8Array([0x80]));
      else eve.socket.send('{"action":"ping"}');
      expect(await eve.nextAction("error")).toMatchObject({
        code: "bad_frame",
        message: expect.stringContaining(
          format === "json" ? "text frames" : "binary frames",
        ),
      });
    });

    test("does not end the connection", async () => {
      bob.send({ action: "dance" });
      await bob.nextAction("error");
      expect(await bob.say(ROOM, "still here")).toMatchObject({
        action: "message_sent",
      });
    });
  });

  test("keys that are not known are ignored", async () => {
    using bob = await connect();
    const room = freshRoom();
    expect(
      await bob.join(room, { color: "red", messages: [1], seq: "x" }),
    ).toMatchObject({ action: "room_joined", room });
    const seen = event(bob, room, "hi");
    await bob.say(room, "hi", { from: "Eve", user: "eve", seq: 99, ts: 1 });
    expect(await seen).toMatchObject({
      from: bob.user.name,
      user: bob.user.id,
      seq: 1,
    });
  });

  test("frames that come while a reply is under way are answered in their order", async () => {
    // Less than one reply in a turn of the event loop: each has to wait.
    await using slow = await InProcessServer.start(
      "--reply-bytes-per-turn",
      "1024",
    );
    using bob = await connect("", slow);
    const room = freshRoom();
    const order = [
      bob.join(room),
      bob.request({ action: "ping" }),
      bob.request({ action: "get_history", room }),
      bob.request({ action: "get_members", room }),
      bob.request({ action: "get_history", room }),
      bob.request({ action: "ping" }),
    ];
    await Promise.all(order);
    expect(bob.received.filter((m) => "ref" in m).map((m) => m.action)).toEqual(
      ["room_joined", "pong", "history", "members", "history", "pong"],
    );
  });
});

describe.each(["json", "msgpack", "text"] as const)(
  "a %s connection",
  (format) => {
    const connect = (query = ""): Promise<Client> =>
      Client.connect(server.url, format, query);
    /** What somebody else is told of a room's members. */
    async function members(watcher: Client, room: string): Promise<Message> {
      return await watcher.request({ action: "get_members", room });
    }
    async function watch(room: string): Promise<Client> {
      const watcher = await Client.connect(server.url, "json", "name=Watcher");
      await watcher.join(room);
      return watcher;
    }
    /** Says something, and waits until the watcher has heard it. */
    async function speak(
      client: Client,
      watcher: Client,
      room: string,
      text: string,
    ): Promise<void> {
      const heard = event(watcher, room, text);
      if (format === "text") client.send(text);
      else client.send({ action: "send_message", room, text });
      await heard;
    }
    /** Who else came first. */
    async function joined(watcher: Client): Promise<User[]> {
      const others = (m: Message): User[] =>
        m.action === "members_changed"
          ? m.joined.filter(({ id }: User) => id !== watcher.user.id)
          : [];
      return others(await watcher.next((m) => others(m).length > 0));
    }
    const left = (watcher: Client): Promise<Message> =>
      watcher.next((m) => m.action === "members_changed" && m.left.length > 0);

    test("chooses its format by subprotocol, which is echoed", async () => {
      const { socket, answer } = await shake(server.roomcast.server.port!, {
        headers: {
          "sec-websocket-protocol": `chat, roomcast.v9.json, roomcast.v1.${format}, roomcast.v1.json`,
        },
      });
      socket.destroy();
      expect(answer.status).toBe(101);
      expect(answer.headers.get("sec-websocket-protocol")).toBe(
        `roomcast.v1.${format}`,
      );
    });

    test("chooses its format by the address where it offers no subprotocol", async () => {
      const { socket, answer } = await shake(server.roomcast.server.port!, {
        path: `/chat?format=${format}`,
      });
      socket.destroy();
      expect(answer.status).toBe(101);
      expect(answer.headers.has("sec-websocket-protocol")).toBe(false);

      const plain = new WebSocket(`${server.url}/chat?format=${format}`);
      plain.binaryType = "arraybuffer";
      const first = await new Promise<MessageEvent>((resolve) => {
        plain.onmessage = resolve;
      });
      plain.close();
      if (format === "json")
        expect(JSON.parse(first.data).action).toBe("welcome");
      else if (format === "msgpack")
        expect(first.data).toBeInstanceOf(ArrayBuffer);
      else expect(first.data).toStartWith("You are connected!");
    });

    test("joins the room of its address", async () => {
      const room = freshRoom();
      using watcher = await watch(room);
      using bob = await connect(`room=${room}&name=Bob`);
      await speak(bob, watcher, room, "hi");
      expect((await members(watcher, room)).members).toEqual([
        watcher.user,
        { id: STRING, name: "Bob" },
      ]);
    });

    test("leaves its rooms when it ends", async () => {
      const room = freshRoom();
      using watcher = await watch(room);
      using bob = await connect(`room=${room}`);
      await joined(watcher);
      bob.close();
      expect((await left(watcher)).count).toBe(1);
    });

    test("with a session is the same user again, whatever name it asks for", async () => {
      const room = freshRoom();
      using watcher = await watch(room);
      using bob = await Client.connect(server.url, "json", "name=Bob");
      const query = `session=${bob.welcome.session}&name=Eve&room=${room}`;
      using one = await connect(query);
      expect(await joined(watcher)).toEqual([bob.user]);
      using two = await connect(query);
      await speak(one, watcher, room, "from one");
      await speak(two, watcher, room, "from the other");
      expect(await members(watcher, room)).toMatchObject({
        count: 2,
        members: [watcher.user, bob.user],
      });
      expect(watcher.events(room).map((m) => [m.user, m.from])).toEqual([
        [bob.user.id, "Bob"],
        [bob.user.id, "Bob"],
      ]);
    });

    test.each([
      ["forged", (token: string) => `${token.slice(0, -4)}AAAA`],
      [
        "changed",
        (token: string) => {
          const [payload, signature] = token.split(".");
          const [, name, expires] = JSON.parse(
            Buffer.from(payload!, "base64url").toString(),
          );
          const other = Buffer.from(
            JSON.stringify(["guest:someoneelse", name, expires]),
          ).toString("base64url");
          return `${other}.${signature}`;
        },
      ],
      ["made-up", () => "not.a.token"],
      ["empty", () => ""],
    ])("with a %s session is a new guest", async (_, change) => {
      const room = freshRoom();
      using watcher = await watch(room);
      using bob = await Client.connect(server.url, "json", "name=Bob");
      const session = encodeURIComponent(change(bob.welcome.session));
      using eve = await connect(`session=${session}&name=Eve&room=${room}`);
      const [guest] = await joined(watcher);
      expect(guest).toEqual({
        id: expect.stringMatching(/^guest:/),
        name: "Eve",
      });
      expect([bob.user.id, "guest:someoneelse"]).not.toContain(guest!.id);
      await speak(eve, watcher, room, "hi");
    });

    test("with another server's session is a new guest", async () => {
      await using elsewhere = await InProcessServer.start();
      using stranger = await Client.connect(elsewhere.url, "json", "name=Bob");
      const room = freshRoom();
      using watcher = await watch(room);
      using bob = await connect(
        `session=${stranger.welcome.session}&room=${room}`,
      );
      const [guest] = await joined(watcher);
      expect(guest!.id).not.toBe(stranger.user.id);
      expect(guest!.name).toMatch(/^user\d+$/);
      await speak(bob, watcher, room, "hi");
    });

    test("without a name is given one that nobody online has, and that is never given again", async () => {
      await using fresh = await InProcessServer.start();
      const nameOf = async (query: string): Promise<[string, Client]> => {
        const client = await Client.connect(fresh.url, format, query);
        if (format !== "text") return [client.user.name, client];
        client.send("/who");
        const { line } = await client.next((m) =>
          m.line.includes(" users in "),
        );
        return [line.split(/[:,] /).at(-1), client];
      };
      const opened: Client[] = [];
      const names: string[] = [];
      for (const query of ["", "", "name=user2", "", "name="]) {
        const [name, client] = await nameOf(query);
        names.push(name);
        opened.push(client);
      }
      expect(names).toEqual(["user0", "user1", "user2", "user3", "user4"]);
      for (const client of opened) client.close();
      await Promise.all(opened.map((client) => client.closed));
      const [name, client] = await nameOf("");
      expect(name).toBe("user5");
      client.close();
    });
  },
);

describe("negotiation", () => {
  const refused = (path: string, headers: Record<string, string> = {}) =>
    refusal(server.roomcast.server.port!, { path, headers });

  test("refuses a client that offers only unknown subprotocols, and names the known ones", async () => {
    expect(
      await refused("/chat?format=json", {
        "sec-websocket-protocol": "graphql-ws, roomcast.v2.json",
      }),
    ).toEqual({
      status: 400,
      code: "invalid_field",
      message: expect.stringContaining("roomcast.v1.msgpack"),
    });
  });

  test.each(["xml", "JSON", "", "__proto__"])(
    "refuses the format %p, and names the known ones",
    async (format) => {
      expect(await refused(`/chat?format=${format}`)).toEqual({
        status: 400,
        code: "invalid_field",
        message: expect.stringContaining("msgpack"),
      });
    },
  );

  test.each([
    ["room", "%00"],
    ["room", "a%0Ab"],
    ["room", "x".repeat(129)],
    ["name", "%1b[31m"],
    ["name", "%e2%80%a8"],
    ["name", "x".repeat(65)],
  ])("refuses the %s %p", async (field, value) => {
    expect(await refused(`/chat?${field}=${value}`)).toEqual({
      status: 400,
      code: "invalid_field",
      message: expect.stringContaining(field),
    });
  });

  test("answers a request that asks for no WebSocket", async () => {
    for (const path of ["/chat", "/echo"])
      expect((await fetch(server.http + path)).status).toBe(426);
  });
});

test("clients of all three formats hold one conversation in one room", async () => {
  const room = freshRoom();
  const formats: Format[] = ["json", "msgpack", "text"];
  const clients: Client[] = [];
  for (const format of formats) {
    const client = await Client.connect(server.url, format, `name=${format}`);
    clients.push(client);
    if (format === "text") {
      client.send(`/join ${room}`);
      await client.nextLine("You are in");
    } else await client.join(room);
  }
  const [json, msgpack, text] = clients as [Client, Client, Client];
  const heard = (client: Client, from: string): Promise<Message> =>
    client.format === "text"
      ? client.nextLine(`[${from}]: hi from ${from}`)
      : event(client, room, `hi from ${from}`);
  for (const speaker of clients) {
    const all = clients.map((client) => heard(client, speaker.format));
    if (speaker === text) speaker.send("hi from text");
    else
      speaker.send({
        action: "send_message",
        room,
        text: `hi from ${speaker.format}`,
      });
    await Promise.all(all);
  }
  expect(json.events(room)).toEqual(msgpack.events(room));
  expect(json.events(room).map((m) => [m.seq, m.from])).toEqual([
    [1, "json"],
    [2, "msgpack"],
    [3, "text"],
  ]);
  expect(
    text.received.map((m) => m.line).filter((line) => line.startsWith("[")),
  ).toEqual([
    "[json]: hi from json",
    "[msgpack]: hi from msgpack",
    "[text]: hi from text",
  ]);
  const { members } = await json.request({ action: "get_members", room });
  expect(members.map((m: Message) => m.name).sort()).toEqual([...formats]);
  for (const client of clients) client.close();
});
