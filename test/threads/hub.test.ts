import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { BrokerError, type Published } from "../../src/broker/broker.ts";
import { isRefused, type Place } from "../../src/gateway/directory.ts";
import { Random, testSeed } from "../support/random.ts";
import { WiredHub, type WiredThread } from "./wired.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

const code = (outcome: Published | BrokerError): string =>
  outcome instanceof BrokerError ? outcome.code : "stored";

describe("a thread that falls behind", () => {
  const SMALL = 2000;
  const TEXT = "x".repeat(100);

  test("is sent no more than its bound, and once it takes again, everything, once, in order", async () => {
    await using hub = new WiredHub(["--overload-events", "100000"], SMALL);
    const [quick, slow] = [hub.connect(), hub.connect()];
    for (const room of ["a", "b"]) {
      await quick.broker.subscribe(room);
      await slow.broker.subscribe(room);
    }
    slow.toThread.hold();
    for (let i = 1; i <= 200; i++)
      for (const room of ["a", "b"]) await quick.say(room, `${i} ${TEXT}`);
    // One event more than the bound, and the answers, at most.
    expect(slow.toThread.waitingBytes).toBeLessThan(2 * SMALL);
    expect(slow.delivered).toEqual([]);
    slow.toThread.release();
    // Missed and live ones meet.
    for (let i = 201; i <= 220; i++)
      for (const room of ["a", "b"]) await quick.say(room, `${i} ${TEXT}`);
    await slow.settled();
    for (const thread of [quick, slow])
      for (const room of ["a", "b"])
        expect(thread.texts(room).map((text) => text.split(" ")[0]!)).toEqual(
          numbers(1, 220),
        );
  });

  test("has its own publishes settled with their events", async () => {
    await using hub = new WiredHub([], SMALL);
    const slow = hub.connect();
    await slow.broker.subscribe("a");
    slow.toThread.hold();
    const texts = numbers(1, 100).map((n) => `${n} ${TEXT}`);
    let settled = 0;
    const outcomes = texts.map((text) => {
      const outcome = slow.say("a", text);
      void outcome.then(() => settled++);
      return outcome;
    });
    await hub.hub.broker.flush();
    while (hub.hub.room("a")!.head < 100) await Bun.sleep(1);
    expect(settled).toBe(0);
    slow.toThread.release();
    expect((await Promise.all(outcomes)).map(code)).toEqual(
      Array(100).fill("stored"),
    );
    expect(slow.texts("a")).toEqual(texts);
    expect(slow.delivered.map(({ origin }) => origin)).toEqual(texts);
  });

  test("makes its rooms answer overloaded, and only them, until it has caught up", async () => {
    await using hub = new WiredHub(["--overload-events", "20"], SMALL);
    const [quick, slow] = [hub.connect(), hub.connect()];
    await quick.broker.subscribe("a");
    await quick.broker.subscribe("b");
    await slow.broker.subscribe("a");
    slow.toThread.hold();
    const outcomes: string[] = [];
    for (let i = 0; i < 100; i++)
      outcomes.push(code(await quick.say("a", `${i} ${TEXT}`)));
    expect(outcomes.slice(0, 20)).toEqual(Array(20).fill("stored"));
    expect(outcomes.at(-1)).toBe("overloaded");
    expect(code(await quick.say("b", TEXT))).toBe("stored");
    slow.toThread.release();
    await slow.settled();
    expect(code(await quick.say("a", "again"))).toBe("stored");
    await slow.settled();
    expect(slow.texts("a")).toEqual(quick.texts("a"));
  });

  test("is told that its events are gone where retention was quicker", async () => {
    await using hub = new WiredHub(["--retention-events-per-room", "5"], SMALL);
    const slow = hub.connect();
    await slow.broker.subscribe("a");
    slow.toThread.hold();
    const outcomes = numbers(1, 100).map((n) => slow.say("a", `${n} ${TEXT}`));
    while ((hub.hub.room("a")?.head ?? 0) < 100) await Bun.sleep(1);
    slow.toThread.release();
    const codes = (await Promise.all(outcomes)).map(code);
    expect(codes).toContain("outcome_unknown");
    expect(codes.slice(95)).toEqual(Array(5).fill("stored"));
    const { delivered } = slow;
    expect(delivered.length).toBe(codes.filter((c) => c === "stored").length);
    // What is not there shows as a hole.
    let position = 0;
    let holes = 0;
    for (const { event } of delivered) {
      expect(event.seq).toBeGreaterThan(position);
      if (event.prev > position) holes++;
      position = event.seq;
    }
    expect(holes).toBe(1);
    expect(position).toBe(100);
  });

  test("goes on where nothing of what it missed is left", async () => {
    await using hub = new WiredHub(
      ["--memory-history-bytes", "1048576", "--overload-events", "100000"],
      SMALL,
    );
    const [quick, slow] = [hub.connect(), hub.connect()];
    await slow.broker.subscribe("a");
    await quick.broker.subscribe("b");
    slow.toThread.hold();
    const outcomes = numbers(1, 50).map((n) => slow.say("a", `${n} ${TEXT}`));
    while ((hub.hub.room("a")?.head ?? 0) < 50) await Bun.sleep(1);
    for (let i = 0; i < 300; i++) await quick.say("b", "x".repeat(4000));
    slow.toThread.release();
    const codes = (await Promise.all(outcomes)).map(code);
    expect(codes).toContain("outcome_unknown");
    expect(codes).not.toContain("overloaded");
    expect(code(await slow.say("a", "on"))).toBe("stored");
    const { event } = slow.delivered.at(-1)!;
    expect([event.seq, event.prev, event.text]).toEqual([51, 50, "on"]);
  });

  test("is told the latest count of rooms whose changes it missed", async () => {
    await using hub = new WiredHub([], 300);
    const [quick, slow] = [hub.connect(), hub.connect()];
    const room = "r".repeat(100);
    await slow.broker.subscribe(room);
    const place = (await slow.directory.admit("x", {
      kind: "guest",
      name: "Slow",
    })) as Place;
    await slow.directory.enter(room, place);
    slow.toThread.hold();
    for (let i = 0; i < 50; i++) {
      const came = (await quick.directory.admit("y", {
        kind: "guest",
        name: "Quick",
      })) as Place;
      await quick.directory.enter(room, came);
    }
    expect(slow.toThread.waitingBytes).toBeLessThan(1000);
    slow.toThread.release();
    while (slow.directory.count(room) !== 51) await Bun.sleep(1);
  });
});

test("the hub refuses what a thread's fan-out cannot carry, until it can", async () => {
  await using hub = new WiredHub();
  let behind = false;
  const [quick, other] = [
    hub.connect(),
    hub.connect({ codecs: 1, behind: () => behind }),
  ];
  await quick.broker.subscribe("a");
  await other.broker.subscribe("a");
  behind = true;
  let outcome = code(await quick.say("a", "x"));
  for (let i = 0; outcome === "stored" && i < 1000; i++)
    outcome = code(await quick.say("a", "x"));
  expect(outcome).toBe("overloaded");
  behind = false;
  while (code(await quick.say("a", "x")) === "overloaded");
});

test("a thread refuses to publish more than may wait for the store", async () => {
  await using hub = new WiredHub(["--max-uncommitted-events", "5"]);
  const thread = hub.connect();
  thread.toHub.hold();
  const outcomes = numbers(1, 8).map((text) => thread.say("a", text));
  expect((await Promise.all(outcomes.slice(5))).map(code)).toEqual(
    Array(3).fill("overloaded"),
  );
  thread.toHub.release();
  expect((await Promise.all(outcomes.slice(0, 5))).map(code)).toEqual(
    Array(5).fill("stored"),
  );
});

test("events are encoded for the formats that a thread's members use", async () => {
  await using hub = new WiredHub();
  const room = { codecs: 2, behind: () => false };
  const thread = hub.connect(room);
  await thread.broker.subscribe("a");
  const sent: unknown[][] = [];
  const spy = thread.link.channel.send.bind(thread.link.channel);
  thread.link.channel.send = ((name: string, ...parts: unknown[]) => {
    if (name === "event") sent.push(parts.map((part) => part !== undefined));
    (spy as (...all: unknown[]) => void)(name, ...parts);
  }) as typeof thread.link.channel.send;
  const formats = async (codecs: number): Promise<unknown[]> => {
    room.codecs = codecs;
    // The first event is what the thread learns it from.
    for (const text of ["one", "two"]) {
      await thread.say("a", text);
      await thread.settled();
    }
    return sent.at(-1)!.slice(3);
  };
  expect(await formats(1)).toEqual([true]);
  expect(await formats(2)).toEqual([false, true]);
  expect(await formats(4)).toEqual([true, false, true]);
  expect(await formats(7)).toEqual([true, true, true]);
  expect(thread.texts("a")).toHaveLength(8);
});

test("time and prev of an event are the event's", async () => {
  await using hub = new WiredHub();
  const thread = hub.connect();
  await thread.broker.subscribe("a");
  const event = {
    room: "a",
    user: "u",
    from: "U",
    text: "x",
    id: undefined,
    data: undefined,
    dataBytes: 0,
    target: 0,
  };
  const origin = { events: thread.link.events, number: 0, carried: false };
  const positions = [
    [1, 0, 1000],
    [2, 1, 1000],
    [9, 2, 2000],
    [10, 9, 2000],
  ] as const;
  for (const [seq, prev, ts] of positions)
    hub.hub.deliver({ ...event, seq, prev, ts }, origin);
  await thread.settled();
  expect(
    thread.delivered.map(({ event: { seq, prev, ts } }) => [seq, prev, ts]),
  ).toEqual(positions.map((position) => [...position]));
});

test("a room that is given up before the hub has answered gets no events", async () => {
  await using hub = new WiredHub();
  const [thread, other] = [hub.connect(), hub.connect()];
  await other.broker.subscribe("a");
  void thread.broker.subscribe("a");
  thread.broker.unsubscribe("a");
  await thread.settled();
  expect(hub.hub.room("a")!.subscriptions).toHaveLength(1);
  expect(hub.hub.room("a")!.holds).toBe(1);
});

describe("a thread that dies", () => {
  const guest = { kind: "guest", name: "Guest" } as const;

  test("gives back its places, users and presence; publishes under way are stored, and told to nobody", async () => {
    await using hub = new WiredHub(["--max-connections", "2"]);
    const [dies, stays] = [hub.connect(), hub.connect()];
    const gone = (await dies.directory.admit("x", guest)) as Place;
    const here = (await stays.directory.admit("x", guest)) as Place;
    for (const [thread, place] of [
      [dies, gone],
      [stays, here],
    ] as const) {
      await thread.broker.subscribe("a");
      await thread.directory.enter("a", place);
    }
    expect(stays.directory.count("a")).toBe(2);
    expect(
      isRefused(await stays.directory.admit("x", { kind: "nobody" })),
    ).toBe(true);
    void dies.say("a", "last words");
    await dies.settled();
    dies.link.close();
    while (stays.directory.count("a") !== 1) await stays.settled();
    expect(await stays.directory.totals()).toEqual({
      connections: 1,
      users: 1,
    });
    expect(
      isRefused(await stays.directory.admit("x", { kind: "nobody" })),
    ).toBe(false);
    expect(stays.texts("a")).toEqual(["last words"]);
    expect(code(await stays.say("a", "and on"))).toBe("stored");
    expect(hub.hub.links.size).toBe(1);
    expect(hub.hub.room("a")!.subscriptions).toHaveLength(1);
  });

  test("leaves no room behind that only it was in", async () => {
    await using hub = new WiredHub();
    const dies = hub.connect();
    for (const room of ["a", "b"]) await dies.broker.subscribe(room);
    dies.link.close();
    expect(hub.hub.room("a")).toBeUndefined();
    expect(hub.hub.room("b")).toBeUndefined();
  });
});

test("typing goes to the other threads with members of the room, not back", async () => {
  await using hub = new WiredHub();
  const threads = [hub.connect(), hub.connect(), hub.connect()];
  const [from, member, stranger] = threads as [
    WiredThread,
    WiredThread,
    WiredThread,
  ];
  await from.broker.subscribe("a");
  await member.broker.subscribe("a");
  const note = {
    action: "typing",
    room: "a",
    user: "u",
    from: "U",
    active: true,
  } as const;
  from.directory.relay(note);
  await from.settled();
  for (const thread of [member, stranger]) await thread.settled();
  expect(member.notes).toEqual([note]);
  expect([...from.notes, ...stranger.notes]).toEqual([]);
});

test("whatever is held, left and entered again, a thread gets what lies above the head it was told, once, in order", async () => {
  const random = new Random(testSeed());
  const context = `seed ${random.seed}`;
  await using hub = new WiredHub(["--overload-events", "100000"], 1500);
  const threads = [hub.connect(), hub.connect(), hub.connect()];
  const rooms = ["a", "b"];
  interface Stay {
    head: number | undefined;
    from: number;
  }
  /** By thread and room: since when it is in, and where in its deliveries that was. */
  const stays = threads.map(() => new Map<string, Stay>());
  const expected = threads.map(() => [] as { room: string; seqs: number[] }[]);
  const check = (t: number, room: string): void => {
    const stay = stays[t]!.get(room)!;
    stays[t]!.delete(room);
    if (stay.head === undefined) return;
    const seqs = threads[t]!.delivered.slice(stay.from)
      .filter(({ event }) => event.room === room)
      .map(({ event }) => event.seq);
    expected[t]!.push({ room, seqs });
    expect(seqs, context).toEqual(seqs.map((_, i) => stay.head! + 1 + i));
  };
  for (let step = 0; step < 20_000; step++) {
    const t = random.below(threads.length);
    const thread = threads[t]!;
    const room = random.pick(rooms);
    const dice = random.next();
    if (dice < 0.7)
      void thread.say(room, `${step} ${"x".repeat(random.below(200))}`);
    else if (dice < 0.8) {
      if (stays[t]!.has(room)) {
        check(t, room);
        thread.broker.unsubscribe(room);
      } else {
        const stay: Stay = { head: undefined, from: 0 };
        stays[t]!.set(room, stay);
        void thread.broker.subscribe(room).then((head) => {
          stay.head = head;
          // Events may have come between the answer and now: they are above the head.
          stay.from = thread.delivered.findIndex(
            ({ event }, i) =>
              i >= stay.from && event.room === room && event.seq > head,
          );
          if (stay.from < 0) stay.from = thread.delivered.length;
        });
      }
    } else if (dice < 0.87) thread.toThread.hold();
    else if (dice < 0.94) thread.toThread.pass();
    else thread.toThread.release();
    if (random.chance(0.3))
      await new Promise((resolve) => setImmediate(resolve));
  }
  for (const thread of threads) thread.toThread.release();
  await Promise.all(threads.map((thread) => thread.settled()));
  await Promise.all(threads.map((thread) => thread.settled()));
  for (const [t, map] of stays.entries())
    for (const [room, { head }] of [...map]) {
      const before = expected[t]!.length;
      check(t, room);
      const { seqs } = expected[t]![before]!;
      // Everybody who stayed has all there is.
      expect(seqs.at(-1) ?? head, context).toBe(hub.hub.room(room)!.head);
    }
  expect(expected.flat().flatMap(({ seqs }) => seqs).length).toBeGreaterThan(
    500,
  );
});
