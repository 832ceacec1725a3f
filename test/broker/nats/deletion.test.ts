import {
  afterAll,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  spyOn,
  test,
} from "bun:test";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import {
  BrokerError,
  type Page,
  type Range,
  type RoomEvent,
} from "../../../src/broker/broker.ts";
import { Link, LinkError } from "../../../src/broker/nats/link.ts";
import { Publisher } from "../../../src/broker/nats/publisher.ts";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { Random, testSeed } from "../../support/random.ts";
import { draft, publish } from "../contract.ts";
import { losing } from "./losing.ts";
import { wholeHistory } from "./load.ts";
import {
  freshPrefix,
  openBroker,
  type NatsBrokerUnderTest,
} from "./support.ts";

tellSkipped("deletions over NATS");
// Servers take seconds to start. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

/** An event as one word: its text, `(gone)`, or which seq it tells the deletion of. */
const said = ({ seq, text, target }: RoomEvent): string =>
  target === 0 ? text : target === seq ? "(gone)" : `(deletes ${target})`;

const sayAll = async (
  { broker }: NatsBrokerUnderTest,
  room: string,
  texts: readonly string[],
): Promise<number[]> => {
  const seqs: number[] = [];
  for (const text of texts)
    seqs.push((await publish(broker, draft(room, text), "")).seq);
  return seqs;
};

const history = async (
  under: NatsBrokerUnderTest,
  room = "a",
): Promise<string[]> => (await wholeHistory(under, room)).map(said);

describe.skipIf(!natsServer)("over one NATS server", () => {
  let servers: NatsServers;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
    nc = await connect({ servers: servers.urls.slice(7) });
    jsm = await jetstreamManager(nc);
  });
  afterAll(async () => {
    await nc.close();
    await servers[Symbol.asyncDispose]();
  });

  const oldest = (
    { broker }: NatsBrokerUnderTest,
    after: number,
    room = "a",
  ): Promise<Page> =>
    broker.read(room, {
      after,
      upto: Number.MAX_SAFE_INTEGER,
      take: "oldest",
      limit: 100,
      bytes: 1e9,
    });

  test("a deletion is seen at every gateway, and nothing of the text is left on the disk", async () => {
    const prefix = freshPrefix();
    await using one = await openBroker(servers, { prefix });
    await using two = await openBroker(servers, { prefix });
    await two.broker.subscribe("a");
    const needle = `needle-${crypto.randomUUID()}`;
    const [, target] = await sayAll(one, "a", ["first", needle, "third"]);
    await two.until(() => two.delivered.length === 3);
    const { store } = servers.servers[0]!;
    const holding = async (): Promise<string> => {
      const grep = ["grep", "-rlaF", needle, store];
      return new Response(Bun.spawn(grep).stdout).text();
    };
    expect(await holding()).not.toBe("");

    expect(await one.broker.delete("a", target!)).toBe("deleted");
    expect(await holding()).toBe("");
    await two.until(() => two.delivered.length === 4);
    const expected = ["first", "(gone)", "third", `(deletes ${target})`];
    for (const under of [one, two])
      expect(await history(under)).toEqual(expected);
    expect(two.delivered.map(({ event }) => said(event))).toEqual([
      "first",
      needle,
      "third",
      `(deletes ${target})`,
    ]);
    expect(await two.broker.delete("a", target!)).toBe("already");
    await using late = await openBroker(servers, { prefix });
    expect(await history(late)).toEqual(expected);
    expect(await late.broker.delete("a", target!)).toBe("already");
  });

  test("nobody is told of a hole where something was deleted", async () => {
    await using under = await openBroker(servers);
    const [first, second, third] = (await sayAll(under, "a", [
      "1",
      "2",
      "3",
    ])) as [number, number, number];
    const [other] = await sayAll(under, "b", ["x"]);
    for (const seq of [first, third, second])
      expect(await under.broker.delete("a", seq)).toBe("deleted");
    for (const [room, position] of [
      ["a", 0],
      ["a", first],
      ["a", second],
      ["a", third],
      // What was deleted is of the same stream.
      ["b", 0],
      ["b", other!],
    ] as const) {
      const { events } = await oldest(under, position, room);
      const what = `${room} after ${position}`;
      let at = position;
      for (const { seq, prev } of events) {
        expect(prev, what).toBe(at);
        at = seq;
      }
    }
    expect(await history(under)).toEqual([
      "(gone)",
      "(gone)",
      "(gone)",
      `(deletes ${first})`,
      `(deletes ${third})`,
      `(deletes ${second})`,
    ]);
  });

  test("retention takes tombstones as it takes messages, and the notes on them", async () => {
    const prefix = freshPrefix();
    await using under = await openBroker(servers, {
      prefix,
      retentionEventsPerRoom: 4,
    });
    const [, two, three] = await sayAll(under, "a", ["1", "2", "3"]);
    // It would be taken by the event that tells of it.
    const [four] = await sayAll(under, "a", ["4"]);
    expect(await under.broker.delete("a", two!)).toBe("deleted");
    expect(await history(under)).toEqual([
      "1",
      "(gone)",
      "3",
      "4",
      `(deletes ${two})`,
    ]);
    // Takes 1: what is left begins with the tombstone, which the next one follows.
    const [five] = await sayAll(under, "a", ["5"]);
    expect(await history(under)).toEqual([
      "(gone)",
      "3",
      "4",
      `(deletes ${two})`,
      "5",
    ]);
    expect((await oldest(under, two!)).events[0]).toMatchObject({
      seq: three!,
      prev: two!,
    });
    // Takes 3: before the tombstone and what is left there is a hole.
    await sayAll(under, "a", ["6"]);
    expect(await history(under)).toEqual(["4", `(deletes ${two})`, "5", "6"]);
    expect((await oldest(under, two!)).events[0]).toMatchObject({
      seq: four!,
      prev: four! - 1,
    });
    expect(await under.broker.delete("a", two!)).toBe("missing");
    expect(await under.broker.delete("a", three!)).toBe("missing");
    expect(await under.broker.delete("a", five!)).toBe("deleted");
    const { state } = await jsm.streams.info(`${prefix}-0`, {
      subjects_filter: `${prefix}.deleted.>`,
    });
    expect(Object.keys(state.subjects!).toSorted()).toEqual([
      `${prefix}.deleted.0.a.${five}.erased`,
      `${prefix}.deleted.0.a.${five}.wanted`,
    ]);
  });

  test("a room's oldest message at the limit is erased, not only taken by what tells of its deletion", async () => {
    const prefix = freshPrefix();
    await using under = await openBroker(servers, {
      prefix,
      retentionEventsPerRoom: 2,
    });
    const needle = `needle-${crypto.randomUUID()}`;
    const [target] = await sayAll(under, "a", [needle, "2"]);
    expect(await under.broker.delete("a", target!)).toBe("deleted");
    const grep = ["grep", "-rlaF", needle, servers.servers[0]!.store];
    expect(await new Response(Bun.spawn(grep).stdout).text()).toBe("");
    expect(await history(under)).toEqual([
      "(gone)",
      "2",
      `(deletes ${target})`,
    ]);
  });

  /** Where a gateway may end while it deletes: before a step, or after it, when it cannot know. */
  const ENDS = ["wanted", "tell", "MSG.DELETE", "erased"].flatMap((step) => [
    { when: "before", step },
    { when: "after", step },
  ]);
  test.each(ENDS)(
    "a gateway that ends $when $step leaves nothing that another cannot finish",
    async ({ when, step }) => {
      const prefix = freshPrefix();
      // Later than NATS remembers what told of it.
      const dedupeWindowMs = 200;
      await using two = await openBroker(servers, { prefix, dedupeWindowMs });
      await two.broker.subscribe("a");
      const [, target] = await sayAll(two, "a", ["1", "secret", "3"]);
      {
        await using one = await openBroker(servers, { prefix, dedupeWindowMs });
        using _ = failing(when === "after", step);
        const failure = await one.broker.delete("a", target!).catch((e) => e);
        expect(failure).toMatchObject({ code: "outcome_unknown" });
      }
      const between = await history(two);
      expect(["secret", "(gone)"]).toContain(between[1]!);
      await Bun.sleep(2 * dedupeWindowMs);
      const finished = await two.broker.delete("a", target!);
      expect(finished).toBe(
        step === "erased" && when === "after" ? "already" : "deleted",
      );
      expect(await history(two)).toEqual([
        "1",
        "(gone)",
        "3",
        `(deletes ${target})`,
      ]);
      expect(await two.broker.delete("a", target!)).toBe("already");
      await two.until(() => two.delivered.length === 4);
      expect(
        await jsm.streams.getMessage(`${prefix}-0`, { seq: target! }),
      ).toBeNull();
    },
  );

  test("a message that is deleted before its sender knows that it is stored is acked and delivered as a tombstone", async () => {
    const prefix = freshPrefix();
    await using two = await openBroker(servers, { prefix });
    await two.broker.subscribe("a");
    let lose = true;
    using _ = losing(({ body }) => lose && body.includes("lost"));
    await using one = await openBroker(servers, { prefix });
    await one.broker.subscribe("a");
    const published = publish(one.broker, draft("a", "lost"), "me");
    await two.until(() => two.delivered.length === 1);
    const { seq, ts } = two.delivered[0]!.event;
    expect(await two.broker.delete("a", seq)).toBe("deleted");
    lose = false;
    expect(await published).toEqual({ seq, ts, duplicate: false });
    await one.until(() => one.delivered.length === 2);
    expect(
      one.delivered.map(({ event, origin }) => [said(event), origin]),
    ).toEqual([
      ["(gone)", "me"],
      [`(deletes ${seq})`, undefined],
    ]);
  });

  test("a deleted message's key, seq and time are known to every gateway", async () => {
    const prefix = freshPrefix();
    await using one = await openBroker(servers, { prefix });
    await using two = await openBroker(servers, { prefix });
    const first = await publish(one.broker, draft("a", "x", { id: "k" }), "");
    await one.broker.delete("a", first.seq);
    expect(await publish(two.broker, draft("a", "x", { id: "k" }), "")).toEqual(
      { ...first, duplicate: true },
    );
  });
});

describe.skipIf(!natsServer).each([1, 3])(
  "with %d NATS servers",
  (replicas) => {
    let servers: NatsServers;
    let nc: NatsConnection;
    let jsm: JetStreamManager;
    beforeAll(async () => {
      servers = await NatsServers.start(replicas);
      nc = await connect({ servers: servers.servers[0]!.url.slice(7) });
      jsm = await jetstreamManager(nc);
    });
    afterAll(async () => {
      await nc.close();
      await servers[Symbol.asyncDispose]();
    });

    test("two gateways that delete one message at a time tell of it once", async () => {
      const prefix = freshPrefix();
      const unders = [
        await openBroker(servers, { prefix, replicas }),
        await openBroker(servers, { prefix, replicas }),
      ];
      const targets = await sayAll(
        unders[0]!,
        "a",
        Array.from({ length: 30 }, (_, i) => `${i}`),
      );
      for (const target of targets) {
        const outcomes = await Promise.all(
          unders.map(({ broker }) => broker.delete("a", target)),
        );
        expect(outcomes).toContain("deleted");
        for (const outcome of outcomes)
          expect(["deleted", "already"]).toContain(outcome);
      }
      for (const under of unders) {
        expect(await history(under)).toEqual([
          ...targets.map(() => "(gone)"),
          ...targets.map((target) => `(deletes ${target})`),
        ]);
        await under.broker.close();
      }
      const { state } = await jsm.streams.info(`${prefix}-0`, {
        subjects_filter: `${prefix}.deleted.>`,
      });
      for (const count of Object.values(state.subjects!)) expect(count).toBe(1);
    });

    test("whatever is deleted where, all gateways deliver and read one log", async () => {
      const random = new Random(testSeed());
      const context = `seed ${random.seed}`;
      using _ = losing(() => random.chance(0.1));
      const prefix = freshPrefix();
      const unders = [
        await openBroker(servers, { prefix, replicas }),
        await openBroker(servers, { prefix, replicas }),
      ];
      const rooms = ["a", "b", "empty at first"];
      for (const { broker } of unders)
        for (const room of rooms) await broker.subscribe(room);
      /** What each room holds: text, "(gone)", or what was deleted, by seq. */
      const logs = new Map(
        rooms.map((room) => [room, new Map<number, string>()]),
      );
      for (let step = 0; step < 300; step++) {
        const room = random.pick(rooms);
        const { broker } = random.pick(unders);
        const log = logs.get(room)!;
        const alive = [...log].filter(([, text]) => !text.startsWith("("));
        const dice = random.next();
        if (dice < 0.5 || log.size === 0) {
          const { seq } = await publish(broker, draft(room, `m${step}`), "");
          log.set(seq, `m${step}`);
        } else if (dice < 0.75 && alive.length > 0) {
          const [target] = random.chance(0.3)
            ? random.chance(0.5)
              ? alive[0]!
              : alive.at(-1)!
            : random.pick(alive);
          expect(await broker.delete(room, target), context).toBe("deleted");
          log.set(target, "(gone)");
          const { events } = await broker.read(room, {
            after: Math.max(...log.keys()),
            upto: Number.MAX_SAFE_INTEGER,
            take: "oldest",
            limit: 10,
            bytes: 1e9,
          });
          expect(events.map(said), context).toEqual([`(deletes ${target})`]);
          log.set(events[0]!.seq, `(deletes ${target})`);
        } else {
          const range = anyRange(
            random,
            [...log.keys()].toSorted((a, b) => a - b),
          );
          check(
            await broker.read(room, range),
            range,
            log,
            `${context}, ${step}`,
          );
        }
      }
      for (const under of unders)
        for (const room of rooms) {
          const log = [...logs.get(room)!].toSorted(([a], [b]) => a - b);
          expect(await history(under, room), context).toEqual(
            log.map(([, text]) => text),
          );
          const delivered = (): RoomEvent[] =>
            under.delivered.map((d) => d.event).filter((e) => e.room === room);
          const last = log.at(-1)![0];
          await under.until(() => (delivered().at(-1)?.seq ?? 0) >= last);
          let position = 0;
          for (const [i, event] of delivered().entries()) {
            const [seq, text] = log[i]!;
            expect(event.seq, context).toBe(seq);
            expect(event.prev, context).toBe(position);
            position = seq;
            // It was there when it was delivered, or was deleted before.
            if (text !== "(gone)") expect(said(event), context).toBe(text);
          }
          expect(delivered().length, context).toBe(log.length);
        }
      for (const { broker } of unders) await broker.close();
    });
  },
);

test.skipIf(!natsServer)(
  "deletions that are asked for until they are answered are told and done once, whatever happens to the stream's leader",
  async () => {
    const random = new Random(testSeed());
    await using servers = await NatsServers.start(3);
    const prefix = freshPrefix();
    await using one = await openBroker(servers, { prefix, replicas: 3 });
    await using two = await openBroker(servers, { prefix, replicas: 3 });
    for (const { broker } of [one, two]) await broker.subscribe("a");
    const targets = await sayAll(
      one,
      "a",
      Array.from({ length: 150 }, (_, i) => `${i}`),
    );
    const gone = new Set<number>();
    const working = Array.from({ length: 6 }, async (_, i) => {
      const { broker } = i % 2 ? one : two;
      while (gone.size < 100) {
        const target = random.pick(targets);
        const outcome = await broker.delete("a", target).catch((e) => e);
        if (outcome === "deleted" || outcome === "already") gone.add(target);
        else {
          expect(outcome).toBeInstanceOf(BrokerError);
          await Bun.sleep(50);
        }
      }
    });
    await two.until(() => gone.size >= 20);
    const leader = await servers.leaderOf(`${prefix}-0`);
    await leader.kill();
    await Bun.sleep(random.below(2000));
    leader.start();
    await Promise.all(working);

    // What was begun without an answer is brought to its end, once this gateway's NATS takes messages again.
    for (const target of targets)
      for (;;) {
        const outcome = await one.broker.delete("a", target).catch((e) => e);
        if (outcome === "deleted" || outcome === "already") break;
        expect(outcome).toBeInstanceOf(BrokerError);
        await Bun.sleep(50);
      }
    const context = `seed ${random.seed}`;
    for (const under of [one, two]) {
      const log = await wholeHistory(under, "a");
      expect(log.slice(0, 150).map(said), context).toEqual(
        targets.map(() => "(gone)"),
      );
      expect(
        log
          .slice(150)
          .map(({ target }) => target)
          .toSorted((a, b) => a - b),
        context,
      ).toEqual(targets);
      await under.until(() => under.delivered.length === log.length);
      expect(
        under.delivered.map(({ event }) => event.seq),
        context,
      ).toEqual(log.map(({ seq }) => seq));
    }
  },
);

/** Lets a step of a deletion fail, at all gateways. @param after the step is taken, and only its answer is lost */
function failing(after: boolean, step: string): Disposable {
  const { request } = Link.prototype;
  const { tell } = Publisher.prototype;
  const lost = new LinkError("it is lost");
  const spies = [
    spyOn(Link.prototype, "request").mockImplementation(async function (
      this: Link,
      ...args
    ) {
      const hit = args[0].includes(step);
      if (hit && !after) throw lost;
      await request.call(this, ...args);
      if (hit) throw lost;
    }),
    spyOn(Publisher.prototype, "tell").mockImplementation(async function (
      this: Publisher<unknown>,
      ...args
    ) {
      if (step === "tell" && !after) throw lost;
      const outcome = await tell.call(this, ...args);
      if (step === "tell") throw lost;
      return outcome;
    }),
  ];
  return {
    [Symbol.dispose]() {
      for (const spy of spies) spy.mockRestore();
    },
  };
}

/** Its ends are positions of a room, or the ends of everything. */
function anyRange(random: Random, seqs: readonly number[]): Range {
  const ends = [random.pick([0, ...seqs]), random.pick(seqs)];
  const [after, upto] = ends.toSorted((a, b) => a - b) as [number, number];
  return {
    after,
    upto: random.chance(0.3) ? Number.MAX_SAFE_INTEGER : upto,
    take: random.pick(["oldest", "latest"]),
    limit: 1 + random.below(8),
    bytes: 1e9,
  };
}

function check(
  { events, more }: Page,
  { after, upto, take, limit }: Range,
  log: ReadonlyMap<number, string>,
  context: string,
): void {
  const inRange = [...log]
    .filter(([seq]) => seq > after && seq <= upto)
    .toSorted(([a], [b]) => a - b);
  const expected =
    take === "oldest" ? inRange.slice(0, limit) : inRange.slice(-limit);
  expect(
    events.map((event) => [event.seq, said(event)] as const),
    `${context}: ${take} ${limit} of ${after} to ${upto}`,
  ).toEqual(expected);
  expect(more, context).toBe(inRange.length > limit);
  const first = expected[0]?.[0];
  if (first === undefined) return;
  let position = Math.max(
    after,
    ...inRange.map(([seq]) => seq).filter((seq) => seq < first),
  );
  for (const { seq, prev } of events) {
    expect(prev, context).toBe(position);
    position = seq;
  }
}
