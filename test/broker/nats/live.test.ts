import {
  afterAll,
  beforeAll,
  describe,
  expect,
  spyOn,
  test,
  setDefaultTimeout,
} from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { RoomEvent } from "../../../src/broker/broker.ts";
import { Link } from "../../../src/broker/nats/link.ts";
import { roomToken } from "../../../src/broker/nats/subjects.ts";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { draft, publish } from "../contract.ts";
import { wholeHistory } from "./load.ts";
import { losing } from "./losing.ts";
import {
  freshPrefix,
  openBroker,
  type NatsBrokerUnderTest,
} from "./support.ts";

tellSkipped("live delivery over NATS");
// Servers take seconds to start and to choose leaders. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

describe.skipIf(!natsServer)("over one NATS server", () => {
  let servers: NatsServers;
  let nc: NatsConnection;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
    nc = await connect({ servers: servers.urls.slice(7) });
  });
  afterAll(async () => {
    await nc.close();
    await servers[Symbol.asyncDispose]();
  });

  const texts = ({ delivered }: NatsBrokerUnderTest): string[] =>
    delivered.map(({ event }) => event.text);

  test("a message of another broker that was lost on its way is healed, though it was the last", async () => {
    const prefix = freshPrefix();
    await using one = await openBroker(servers, { prefix });
    let lost = 0;
    using _ = losing(({ body }) => body.includes("lost") && ++lost > 0);
    await using two = await openBroker(servers, { prefix });
    await two.broker.subscribe("a");
    await publish(one.broker, draft("a", "came"), "");
    await publish(one.broker, draft("a", "lost"), "");
    await two.until(() => two.delivered.length === 2);
    expect(lost).toBe(1);
    expect(texts(two)).toEqual(["came", "lost"]);
    expect(two.delivered[1]!.event.prev).toBe(two.delivered[0]!.event.seq);
  });

  test("an own message that was lost on its way is delivered with its origin before its publish settles", async () => {
    using _ = losing(({ body }) => body.includes("lost"));
    await using under = await openBroker(servers);
    await under.broker.subscribe("a");
    const { seq, ts } = await publish(under.broker, draft("a", "lost"), "me");
    expect(under.delivered).toHaveLength(1);
    expect(under.delivered[0]).toMatchObject({
      origin: "me",
      event: { seq, ts, text: "lost", prev: 0 },
    });
  });

  test("what comes after a hole waits until the hole is filled", async () => {
    const prefix = freshPrefix();
    await using one = await openBroker(servers, { prefix });
    let n = 0;
    // Runs of lost messages, none of them the last.
    using _ = losing(() => {
      n++;
      return n % 10 < 7 && n < 190;
    });
    await using two = await openBroker(servers, { prefix });
    await two.broker.subscribe("a");
    const all = Array.from({ length: 200 }, (_, i) => `${i}`);
    await Promise.all(
      all.map((text) => publish(one.broker, draft("a", text), "")),
    );
    await two.until(() => two.delivered.length >= all.length);
    expect(texts(two)).toEqual(all);
    let position = 0;
    for (const { event } of two.delivered) {
      expect(event.prev).toBe(position);
      position = event.seq;
    }
  });

  test("a repeated or misplaced live message is passed over", async () => {
    const prefix = freshPrefix();
    await using under = await openBroker(servers, { prefix });
    await under.broker.subscribe("a");
    const { seq } = await publish(under.broker, draft("a", "one"), "");
    nc.publish(`${prefix}.live.a`, "no header");
    const js = jetstream(nc);
    // What somebody else stores in a room is passed over, and leaves no hole.
    await js.publish(`${prefix}.room.0.a`, "not an event");
    await publish(under.broker, draft("a", "two"), "");
    expect(texts(under)).toEqual(["one", "two"]);
    expect(under.delivered[1]!.event.prev).toBe(seq);
    expect(under.told.join()).toContain("passed over");
    const history = await wholeHistory(under, "a");
    expect(history.map(({ text, prev }) => [text, prev])).toEqual([
      ["one", 0],
      ["two", seq],
    ]);
  });

  test("two brokers know one id: the second is told of the first's event", async () => {
    const prefix = freshPrefix();
    await using one = await openBroker(servers, { prefix });
    await using two = await openBroker(servers, { prefix });
    await one.broker.subscribe("a");
    await two.broker.subscribe("a");
    const results = await Promise.all(
      [one, two, one].map(({ broker }, i) =>
        publish(broker, draft("a", `try ${i}`, { id: "k" }), `${i}`),
      ),
    );
    expect(results.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(results.map(({ seq }) => seq)).size).toBe(1);
    expect(new Set(results.map(({ ts }) => ts)).size).toBe(1);
    const later = await publish(two.broker, draft("a", "x", { id: "k" }), "");
    expect(later).toEqual({ ...results[0]!, duplicate: true });
    await one.until(() => one.delivered.length === 1);
    await two.until(() => two.delivered.length === 1);
    expect(await wholeHistory(one, "a")).toHaveLength(1);
  });

  test("any room's name is a room of its own", async () => {
    await using under = await openBroker(servers, { streams: 3 });
    const rooms = [
      "a.b",
      "a",
      "a b",
      "*",
      ">",
      "a.>",
      "=2E",
      ".",
      "ü",
      "ü".repeat(64),
    ];
    for (const room of rooms)
      expect(await under.broker.subscribe(room)).toBe(0);
    for (const room of rooms)
      await publish(under.broker, draft(room, room), "");
    expect(
      under.delivered.map(({ event }) => [event.room, event.text]),
    ).toEqual(rooms.map((room) => [room, room]));
    for (const room of rooms)
      expect((await wholeHistory(under, room)).map((e) => e.text)).toEqual([
        room,
      ]);
    expect(new Set(rooms.map(roomToken)).size).toBe(rooms.length);
  });

  test("rooms that are subscribed together have their heads told together", async () => {
    await using under = await openBroker(servers, { streams: 2 });
    const rooms = Array.from({ length: 1200 }, (_, i) => `room ${i}`);
    const published = await Promise.all(
      rooms.map((room) => publish(under.broker, draft(room, room), "")),
    );
    const asked = spyOn(Link.prototype, "request");
    try {
      const heads = await Promise.all(
        rooms.map((room) => under.broker.subscribe(room)),
      );
      expect(heads).toEqual(published.map(({ seq }) => seq));
      expect(asked.mock.calls.length).toBeLessThan(10);
    } finally {
      asked.mockRestore();
    }
  });

  test("refuses as overloaded what is beyond its bound, and takes the rest", async () => {
    await using under = await openBroker(servers, {
      maxUnsettled: 5,
      maxInFlight: 2,
    });
    await under.broker.subscribe("a");
    const results = await Promise.allSettled(
      Array.from({ length: 7 }, (_, i) =>
        publish(under.broker, draft("a", `${i}`), ""),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual([
      ...Array(5).fill("fulfilled"),
      ...Array(2).fill("rejected"),
    ]);
    expect((results[6] as PromiseRejectedResult).reason.code).toBe(
      "overloaded",
    );
    expect(texts(under)).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("answers unavailable where a message is larger than NATS takes", async () => {
    await using under = await openBroker(servers);
    const large = publish(under.broker, draft("a", "x".repeat(1_100_000)), "");
    expect(await large.catch((error) => error)).toMatchObject({
      code: "unavailable",
    });
  });

  describe("where events were removed", () => {
    const page = (
      { broker }: NatsBrokerUnderTest,
      after: number,
      take: "oldest" | "latest" = "oldest",
      limit = 100,
    ) =>
      broker.read("a", {
        after,
        upto: Number.MAX_SAFE_INTEGER,
        take,
        limit,
        bytes: 1e9,
      });
    const fill = async (
      under: NatsBrokerUnderTest,
      count: number,
    ): Promise<number[]> => {
      const seqs: number[] = [];
      for (let i = 0; i < count; i++)
        seqs.push((await publish(under.broker, draft("a", `${i}`), "")).seq);
      return seqs;
    };

    test("a room keeps its latest, and whoever misses others sees a hole", async () => {
      await using under = await openBroker(servers, {
        retentionEventsPerRoom: 5,
      });
      const seqs = await fill(under, 12);
      const kept = await page(under, 0);
      expect(kept.events.map(({ text }) => text)).toEqual([
        "7",
        "8",
        "9",
        "10",
        "11",
      ]);
      expect(kept.events[0]!.prev).toBeGreaterThan(0);
      const missed = await page(under, seqs[3]!);
      expect(missed.events).toHaveLength(5);
      expect(missed.events[0]!.prev).toBeGreaterThan(seqs[3]!);
      const whole = await page(under, seqs[8]!);
      expect(whole.events.map(({ text }) => text)).toEqual(["9", "10", "11"]);
      expect(whole.events[0]!.prev).toBe(seqs[8]!);
    });

    test("where none were, also who has seen none gets all", async () => {
      await using under = await openBroker(servers);
      await fill(under, 3);
      expect((await page(under, 0)).events[0]!.prev).toBe(0);
    });

    test("after a purge live delivery goes on, and a position before it is told of a hole", async () => {
      const prefix = freshPrefix();
      await using under = await openBroker(servers, { prefix });
      await under.broker.subscribe("a");
      const seqs = await fill(under, 5);
      const jsm = await jetstreamManager(nc);
      await jsm.streams.purge(`${prefix}-0`, { filter: `${prefix}.room.0.a` });
      await publish(under.broker, draft("a", "after"), "");
      const last = under.delivered.at(-1)!.event;
      expect(last).toMatchObject({ text: "after", prev: seqs.at(-1)! });
      const { events } = await page(under, seqs[1]!);
      expect(events.map(({ text }) => text)).toEqual(["after"]);
      expect(events[0]!.prev).toBeGreaterThan(seqs[1]!);
    });

    test("what was lost live and is removed shows as a hole, and nobody waits", async () => {
      const prefix = freshPrefix();
      await using one = await openBroker(servers, {
        prefix,
        retentionEventsPerRoom: 1,
      });
      using _ = losing(({ body }) => /lost/.test(body));
      await using two = await openBroker(servers, {
        prefix,
        retentionEventsPerRoom: 1,
      });
      await two.broker.subscribe("a");
      const seqs: number[] = [];
      for (const text of ["came", "lost 1", "lost 2", "last"])
        seqs.push((await publish(one.broker, draft("a", text), "")).seq);
      await two.until(() => texts(two).includes("last"));
      const { prev } = two.delivered.at(-1)!.event;
      expect(prev).toBeGreaterThan(seqs[0]!);
      expect(prev).toBeLessThan(seqs[3]!);
    });
  });

  test("the latest of a room among many are found without reading it all", async () => {
    await using under = await openBroker(servers);
    const { broker } = under;
    // Another room's messages between, first few of ours, then many, then few.
    const all: RoomEvent["text"][] = [];
    const seqs: number[] = [];
    const say = async (count: number, others: number): Promise<void> => {
      const settled = Array.from({ length: count }, (_, i) => {
        for (let n = 0; n < others; n++)
          void publish(broker, draft("b", "other"), "");
        all.push(`${all.length}`);
        return publish(broker, draft("a", all.at(-1)!), `${i}`);
      });
      for (const { seq } of await Promise.all(settled)) seqs.push(seq);
    };
    await broker.subscribe("a");
    await broker.subscribe("b");
    await say(300, 5);
    await say(2000, 0);
    await say(100, 40);
    await say(300, 1);
    for (const [from, limit] of [
      [all.length, 1],
      [all.length, 50],
      [all.length, 500],
      [2400, 50],
      [2300, 300],
      [1000, 50],
      [301, 50],
      [20, 50],
      [1, 50],
    ] as const) {
      const { events, more } = await broker.read("a", {
        after: 0,
        upto: from === all.length ? Number.MAX_SAFE_INTEGER : seqs[from - 1]!,
        take: "latest",
        limit,
        bytes: 1e9,
      });
      const first = Math.max(0, from - limit);
      expect(events.map(({ text }) => text)).toEqual(all.slice(first, from));
      expect(more).toBe(first > 0);
      expect(events[0]!.prev).toBe(first > 0 ? seqs[first - 1]! : 0);
    }
  });
});
