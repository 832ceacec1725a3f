import { describe, expect, test, setDefaultTimeout } from "bun:test";
import { join } from "node:path";
import type { ReceiveMessage } from "../../src/client/index.ts";
import {
  RoomcastClient,
  type MembersChange,
  type RoomEvent,
  type TypingNote,
} from "../../src/client/index.ts";
import { Follow, next, numbered } from "./follow.ts";
import { Clients, failure, Scene } from "./scene.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

describe.each(["json", "msgpack"] as const)("in %s", (format) => {
  test("two clients hold a conversation", async () => {
    await using scene = new Scene();
    const ann = scene.connect({ name: "Ann", format });
    const bob = scene.connect({ name: "Bob" });
    const opened = next(ann, "state");
    const [annRoom, bobRoom] = await Promise.all([
      ann.join("general"),
      bob.join("general"),
    ]);
    expect(await opened).toEqual({ state: "open" });
    expect(ann.user?.name).toBe("Ann");
    expect(ann.limits?.max_text_bytes).toBe(4096);
    const [annSaw, bobSaw] = [new Follow(annRoom), new Follow(bobRoom)];

    const data = { mood: "good", list: [1, null, { "🦉": true }], at: 2 ** 40 };
    const ack = await annRoom.send("Hi everyone 🦉", { data, id: "first" });
    await bobSaw.untilText("Hi everyone 🦉");
    expect(bobSaw.messages[0]).toEqual({
      action: "receive_message",
      room: "general",
      seq: 1,
      from: "Ann",
      user: ann.user!.id,
      text: "Hi everyone 🦉",
      ts: ack.ts,
      id: "first",
      data,
    });
    expect(annSaw.messages).toEqual(bobSaw.messages);
    expect(ack).toMatchObject({
      seq: 1,
      id: "first",
      epoch: expect.any(String),
    });
    expect(annRoom.position).toEqual({ epoch: ack.epoch, seq: 1 });
    const again = await annRoom.send("something else", { id: "first" });
    expect(again).toEqual({ ...ack, duplicate: true });

    const typing = new Promise<TypingNote>((resolve) =>
      bobRoom.on("typing", resolve),
    );
    annRoom.typing(true);
    expect(await typing).toMatchObject({
      user: ann.user!.id,
      from: "Ann",
      active: true,
    });
    expect(await ann.ping()).toBe(ann.roundTripMs!);
  });

  test("sends keep their order, however many are under way", async () => {
    await using scene = new Scene("--max-messages-per-second", "0");
    const room = await scene.connect({ format }).join("general");
    const saw = new Follow(room);
    const texts = numbered("m", 700);
    const acks = await Promise.all(texts.map((text) => room.send(text)));
    expect(acks.map((ack) => ack.seq)).toEqual(texts.map((_, i) => i + 1));
    expect(saw.texts).toEqual(texts);
  });

  test("history comes with the join, in pages, and without a join's turn lost", async () => {
    await using scene = new Scene("--max-messages-per-second", "0");
    const writer = await scene.connect().join("general");
    await Promise.all(numbered("m", 30).map((text) => writer.send(text)));

    const reader = scene.connect({ format });
    const room = await reader.join("general", { history: 5 });
    const saw = new Follow(room);
    await writer.send("live");
    await saw.untilText("live");
    expect(saw.texts).toEqual([...numbered("m", 30).slice(-5), "live"]);

    const page = await room.history({ before: 4, limit: 2 });
    expect(page.messages.map((m) => (m as ReceiveMessage).text)).toEqual([
      "m 1",
      "m 2",
    ]);
    expect(page.more).toBe(true);
    const after = await room.history({ after: 28 });
    expect(after.messages.map((m) => (m as ReceiveMessage).text)).toEqual([
      "m 28",
      "m 29",
      "live",
    ]);
    expect(after.more).toBe(false);
  });

  test("what the server refuses for good rejects that send, and no other", async () => {
    await using scene = new Scene();
    const client = scene.connect({ format });
    const room = await client.join("general");
    const sends = [
      room.send("one"),
      room.send("x".repeat(5000)),
      room.send("two", { id: "i".repeat(65) }),
      room.send("three"),
      room.send("y".repeat(70_000)),
      room.send("lone \ud800"),
      room.send("four", { data: { deep: "\udfff" } }),
      room.send("five", { data: { n: 1n } }),
      room.send("six", { data: { list: "z".repeat(9000) } }),
      room.send("seven"),
    ];
    const settled = await Promise.allSettled(sends);
    expect(
      settled.map((s) =>
        s.status === "fulfilled" ? s.value.seq : s.reason.code,
      ),
    ).toEqual([
      1,
      "too_large",
      "invalid_field",
      2,
      "too_large",
      "invalid_field",
      "invalid_field",
      "invalid_field",
      "too_large",
      3,
    ]);
    expect((settled[1] as PromiseRejectedResult).reason).toMatchObject({
      name: "RoomcastError",
      maybeStored: false,
      message: expect.stringContaining("4096"),
    });
    expect(client.state).toBe("open");
  });
});

test("with echo: false own messages come only as acks, and the position still moves", async () => {
  await using scene = new Scene();
  const ann = await scene.connect().join("general", { echo: false });
  const bob = await scene.connect().join("general");
  const saw = new Follow(ann);
  const { seq } = await ann.send("mine");
  expect(ann.position!.seq).toBe(seq);
  await bob.send("yours");
  await saw.untilText("yours");
  await ann.send("mine again");
  expect(saw.texts).toEqual(["yours"]);
  expect(ann.position!.seq).toBe(3);
});

test("presence: who is here, who came, who went", async () => {
  await using scene = new Scene();
  const ann = scene.connect({ name: "Ann" });
  const room = await ann.join("general");
  const changes: MembersChange[] = [];
  room.on("members", (change) => changes.push(change));
  const saw = new Follow(room);
  await saw.until(() => changes.length === 1);
  expect(await room.members()).toMatchObject({
    count: 1,
    members: [{ id: ann.user!.id, name: "Ann" }],
  });
  const bob = scene.connect({ name: "Bob" });
  await bob.join("general");
  const { user } = bob;
  await saw.until(() => changes.length === 2);
  expect(changes[1]).toMatchObject({
    count: 2,
    joined: [user!],
    left: [],
    users: [ann.user!, user!],
  });
  await bob.close();
  await saw.until(() => changes.length === 3);
  expect(changes[2]).toMatchObject({
    count: 1,
    joined: [],
    left: [user!],
    users: [ann.user!],
  });
  expect(room.count).toBe(1);
});

test("a room that cannot be joined rejects, and is not kept", async () => {
  await using scene = new Scene("--max-rooms-per-connection", "1");
  const client = scene.connect();
  const bad = await failure(client.join("line\nbreak"));
  expect(bad.code).toBe("invalid_field");
  expect((await failure(client.join("\ud800"))).code).toBe("invalid_field");
  const [one, same] = await Promise.all([client.join("a"), client.join("a")]);
  expect(one).toBe(same);
  const joining = client.join("b");
  const room = client.rooms.get("b")!;
  const queued = failure(room.send("never"));
  expect((await failure(joining)).code).toBe("too_many_rooms");
  expect((await queued).code).toBe("too_many_rooms");
  expect(room.state).toBe("left");
  expect([...client.rooms.keys()]).toEqual(["a"]);
  // A room can be left, and then there is place again.
  await one.leave();
  expect(one.state).toBe("left");
  expect((await failure(one.send("late"))).code).toBe("left");
  expect((await client.join("b")).state).toBe("joined");
});

test("leaving and joining at once gives a room that receives", async () => {
  await using scene = new Scene();
  const client = scene.connect();
  const first = await client.join("general");
  const [, second] = await Promise.all([first.leave(), client.join("general")]);
  expect(second).not.toBe(first);
  const saw = new Follow(second);
  await second.send("again");
  expect(saw.texts).toEqual(["again"]);
});

test("a listener that leaves gets nothing more of what had come with it", async () => {
  await using scene = new Scene();
  const writer = await scene.connect().join("general");
  await Promise.all(numbered("m", 5).map((text) => writer.send(text)));
  const room = await scene.connect().join("general", { history: 5 });
  const saw = new Follow(room);
  room.on("message", () => void room.leave());
  await new Promise((resolve) => room.on("left", resolve));
  await writer.send("later");
  expect(saw.texts).toEqual(["m 0"]);
});

test("requests above the server's rate are made again when it says so", async () => {
  await using scene = new Scene("--max-requests-per-second", "20");
  const client = scene.connect();
  const room = await client.join("general");
  await room.send("one");
  const pages = await Promise.all(numbered("", 90).map(() => room.history()));
  for (const page of pages) expect(page.messages).toHaveLength(1);
});

test("a session makes the next client the same user", async () => {
  await using scene = new Scene();
  const first = scene.connect({ name: "Ann" });
  await next(first, "welcome");
  const { session, user } = first;
  await first.close();
  const second = scene.connect({ session: session! });
  await next(second, "welcome");
  expect(second.user).toEqual(user!);
});

test("a position of an earlier client gives what came since", async () => {
  await using scene = new Scene();
  const writer = await scene.connect().join("general");
  const first = scene.connect();
  const room = await first.join("general");
  await writer.send("one");
  await new Follow(room).until(() => room.position?.seq === 1);
  const since = room.position!;
  await first.close();
  await writer.send("two");
  await writer.send("three");
  const later = new Follow(
    await scene.connect().join("general", { since, history: 1 }),
  );
  await later.untilText("three");
  expect(later.texts).toEqual(["two", "three"]);
  const elsewhere = await scene.connect().join("general", {
    since: { epoch: "another", seq: 1 },
    history: 1,
  });
  const lost = new Follow(elsewhere);
  await lost.until(() => lost.resets.length > 0);
  expect(lost.resets[0]).toMatchObject({
    messages: [{ text: "three" }],
    position: { seq: 3 },
  });
});

test("a full queue and a time that is over reject clearly", async () => {
  let url: string;
  {
    await using scene = new Scene();
    url = scene.server.url;
  }
  // Nothing listens there now.
  await using clients = new Clients();
  const client = clients.connect(url, {
    maxQueuedSends: 2,
    sendTimeoutMs: 50,
    requestTimeoutMs: 100,
    minBackoffMs: 5,
    maxBackoffMs: 10,
  });
  const joining = client.join("general");
  const room = client.rooms.get("general")!;
  const sends = [room.send("one"), room.send("two")];
  const full = await failure(room.send("three"));
  expect(full.code).toBe("queue_full");
  for (const send of sends)
    expect(await failure(send)).toMatchObject({
      code: "timeout",
      maybeStored: false,
    });
  // There is place again.
  const late = room.send("four");
  expect((await failure(late)).code).toBe("timeout");
  expect((await failure(joining)).code).toBe("timeout");
  expect((await failure(client.ping())).code).toBe("timeout");
  expect(client.state).toBe("reconnecting");
});

test("close() rejects what waits, ends loops, and is for good", async () => {
  await using scene = new Scene();
  const client = scene.connect();
  const room = await client.join("general");
  await room.send("one");
  const events: RoomEvent[] = [];
  const loop = (async () => {
    for await (const event of room) events.push(event);
  })();
  const loopEnded = failure(loop);
  const left = new Promise((resolve) => room.on("left", resolve));
  const states: string[] = [];
  client.on("state", ({ state }) => states.push(state));
  const waits = [client.join("other"), room.history(), client.ping()].map(
    failure,
  );
  const send = failure(room.send("two"));
  await client.close();
  for (const error of await Promise.all(waits))
    expect(error.code).toBe("closed");
  expect(await send).toMatchObject({ code: "closed", maybeStored: true });
  expect(await left).toMatchObject({ code: "closed" });
  expect((await loopEnded).code).toBe("closed");
  expect(events.map((event) => event.type)).toEqual([]);
  expect(states).toEqual(["closed"]);
  expect((await failure(client.join("general"))).code).toBe("closed");
  expect((await failure(room.send("three"))).code).toBe("closed");
  expect(() => client.reconnect()).toThrow("closed");
  await client.close();
});

test("an iterator gives messages in order, ends with the room, and says when it fell behind", async () => {
  await using scene = new Scene("--max-messages-per-second", "0");
  const client = scene.connect({ maxQueuedSends: 2000 });
  const room = await client.join("general");
  const fast = (async () => {
    const texts: string[] = [];
    for await (const event of room)
      if (event.type === "message") texts.push(event.message.text);
    return texts;
  })();
  const slow = room[Symbol.asyncIterator]();
  const texts = numbered("m", 1500);
  await Promise.all(texts.map((text) => room.send(text)));
  let taken = 0;
  const all = (async () => {
    for await (const event of slow)
      if (event.type === "message")
        expect(event.message.text).toBe(texts[taken++]!);
  })();
  expect((await failure(all)).code).toBe("fell_behind");
  expect(taken).toBe(1000);
  await room.leave();
  expect(await fast).toEqual(texts);
});

test("an iterator that is left, before or while it waits, ends and listens no more", async () => {
  await using scene = new Scene();
  const room = await scene.connect().join("general");
  const listening = new Set<unknown>();
  const on = room.on.bind(room);
  room.on = (event, listener) => {
    const off = on(event, listener);
    listening.add(listener);
    return () => {
      listening.delete(listener);
      off();
    };
  };
  const unread = room[Symbol.asyncIterator]();
  expect(listening.size).toBeGreaterThan(0);
  await unread.return!();
  expect(listening.size).toBe(0);
  const waiting = room[Symbol.asyncIterator]();
  const event = waiting.next();
  await waiting.return!();
  expect(await event).toMatchObject({ done: true });
  expect(listening.size).toBe(0);
});

test("a listener that throws harms no other, and is not silent", async () => {
  await using scene = new Scene();
  const script = `
    import { RoomcastClient } from "./src/client/index.ts";
    process.on("uncaughtException", (error) => console.log("uncaught", error.message));
    const client = new RoomcastClient("${scene.server.url}");
    const room = await client.join("general");
    room.on("message", () => { throw new Error("mine"); });
    room.on("message", ({ text }) => console.log("heard", text));
    await room.send("one");
    await room.send("two");
    await client.close();
  `;
  const child = Bun.spawn([process.execPath, "-e", script], {
    cwd: join(import.meta.dir, "../.."),
    stdout: "pipe",
  });
  expect(await child.stdout.text()).toBe(
    "heard one\nuncaught mine\nheard two\nuncaught mine\n",
  );
  expect(await child.exited).toBe(0);
});

test("the token is asked for at every connect, and its failure is told", async () => {
  await using scene = new Scene();
  let asked = 0;
  const client = scene.connect({
    minBackoffMs: 1,
    token: async () => {
      if (++asked === 1) throw new Error("not yet");
      return `t${asked}`;
    },
  });
  expect(await next(client, "state")).toMatchObject({
    state: "reconnecting",
    reason: "Error: not yet",
  });
  await next(client, "welcome");
  client.reconnect();
  await next(client, "welcome");
  expect(asked).toBe(3);
});

test("URLs and runtimes that cannot work are refused at once", () => {
  expect(() => new RoomcastClient("nonsense")).toThrow(TypeError);
  expect(() => new RoomcastClient("ftp://localhost")).toThrow(TypeError);
  const { WebSocket } = globalThis;
  try {
    (globalThis as { WebSocket: unknown }).WebSocket = undefined;
    expect(() => new RoomcastClient("ws://localhost")).toThrow(
      "options.WebSocket",
    );
  } finally {
    globalThis.WebSocket = WebSocket;
  }
});

test("a change of the name makes a new guest in place", async () => {
  await using scene = new Scene();
  const client = scene.connect({ name: "Ann" });
  const room = await client.join("general");
  const saw = new Follow(room);
  await room.send("as Ann");
  client.reconnect({ name: "Anna" });
  await room.send("as Anna");
  expect(saw.messages.map((m) => [m.from, m.text])).toEqual([
    ["Ann", "as Ann"],
    ["Anna", "as Anna"],
  ]);
});

test("why there is no connection is told without the token and the session", async () => {
  await using clients = new Clients();
  const client = clients.connect("ws://127.0.0.1:1", {
    token: "a-token-nobody-must-see",
    session: "a-session-nobody-must-see",
  });
  const { state, reason } = await next(client, "state");
  expect(state).toBe("reconnecting");
  expect(reason).toContain("Failed to connect");
  expect(reason).not.toContain("nobody-must-see");
});

test("requests that wait after a refusal are asked again on the next connection", async () => {
  await using scene = new Scene("--max-requests-per-second", "5");
  const client = scene.connect({ requestTimeoutMs: 3000 });
  const room = await client.join("general");
  // The server takes bursts of four seconds' worth: the last ones are refused for now.
  const pages = Promise.all(Array.from({ length: 25 }, () => room.history()));
  // Its ack comes after the refusals.
  await room.send("hi");
  client.reconnect();
  expect(await pages).toHaveLength(25);
});

test("an option that no frame can hold rejects its call, and harms no later one", async () => {
  await using scene = new Scene();
  const client = scene.connect();
  await next(client, "welcome");
  const cyclic: Record<string, unknown> = {};
  cyclic.history = cyclic;
  for (const unusable of [{ history: 10n }, cyclic]) {
    expect(await failure(client.join("x", unusable as any))).toMatchObject({
      code: "invalid_field",
    });
    expect(client.rooms.size).toBe(0);
  }
  const room = await client.join("general");
  expect(await failure(room.history({ limit: 1n } as any))).toMatchObject({
    code: "invalid_field",
  });
  const open = next(client, "state", ({ state }) => state === "open");
  client.reconnect();
  await open;
  await room.send("still here");
});

test("a thousand requests at once do not end the connection: few are under way, the others wait", async () => {
  await using scene = new Scene();
  const client = scene.connect();
  const room = await client.join("general");
  const states: string[] = [];
  client.on("state", ({ state }) => states.push(state));
  const answers = await Promise.all(
    Array.from({ length: 1000 }, () => room.members()),
  );
  expect(answers.every(({ count }) => count === 1)).toBe(true);
  expect(states).toEqual([]);
}, 60_000);
