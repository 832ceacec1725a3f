import { describe, expect, test } from "bun:test";
import {
  BrokerError,
  type Broker,
  type Draft,
  type MainBroker,
  type Published,
  type RoomEvent,
} from "../../src/broker/broker.ts";

/** A broker under test, and what it delivered. */
export interface BrokerUnderTest extends AsyncDisposable {
  readonly broker: MainBroker<string>;
  readonly delivered: {
    readonly event: RoomEvent;
    readonly origin: string | undefined;
  }[];
}

export function draft(
  room: string,
  text: string,
  extra: Partial<Draft> = {},
): Draft {
  return {
    room,
    user: "u1",
    from: "Bob",
    text,
    id: undefined,
    data: undefined,
    dataJson: undefined,
    ...extra,
  };
}

/** @throws BrokerError (as rejection) */
export function publish(
  broker: Broker<string>,
  what: Draft,
  origin: string,
): Promise<Published> {
  return new Promise((resolve, reject) =>
    broker.publish(what, origin, (_draft, _origin, outcome) => {
      if (outcome instanceof BrokerError) reject(outcome);
      else resolve(outcome);
    }),
  );
}

const ALL = {
  after: 0,
  upto: Number.MAX_SAFE_INTEGER,
  limit: 1000,
  bytes: 1e9,
} as const;

/** What every broker promises to gateways (src/broker/broker.ts). Positions may have holes: only `prev` tells. */
export function brokerContract(
  name: string,
  open: () => Promise<BrokerUnderTest>,
): void {
  describe(`${name} keeps the broker's contract`, () => {
    test("a room that was never used has head 0 and no events", async () => {
      await using under = await open();
      expect(await under.broker.subscribe("empty")).toBe(0);
      expect(
        await under.broker.read("empty", { ...ALL, take: "oldest" }),
      ).toEqual({
        events: [],
        more: false,
      });
    });

    test("a published event is delivered once, with its origin, before the publish settles", async () => {
      await using under = await open();
      await under.broker.subscribe("a");
      const published = await publish(
        under.broker,
        draft("a", "hi", { id: "k", data: { n: 1 }, dataJson: '{"n":1}' }),
        "origin",
      );
      expect(under.delivered).toHaveLength(1);
      const { event, origin } = under.delivered[0]!;
      expect(origin).toBe("origin");
      expect(event).toMatchObject({
        room: "a",
        user: "u1",
        from: "Bob",
        text: "hi",
        id: "k",
        data: { n: 1 },
        seq: published.seq,
        ts: published.ts,
      });
      expect(published.duplicate).toBe(false);
      expect(event.prev).toBeLessThan(event.seq);
    });

    test("a room's log reaches what was published, and no further", async () => {
      await using under = await open();
      await under.broker.subscribe("a");
      expect(await under.broker.reaches("a", 0)).toBe(true);
      expect(await under.broker.reaches("a", 1)).toBe(false);
      await publish(under.broker, draft("other", "x"), "");
      const { seq } = await publish(under.broker, draft("a", "x"), "");
      expect(await under.broker.reaches("a", seq)).toBe(true);
      expect(await under.broker.reaches("a", seq + 1)).toBe(false);
    });

    test("events of a room are delivered in increasing order and follow one another", async () => {
      await using under = await open();
      await under.broker.subscribe("a");
      await under.broker.subscribe("b");
      const texts = Array.from({ length: 200 }, (_, i) => `${i}`);
      await Promise.all(
        texts.flatMap((t) => [
          publish(under.broker, draft("a", t), ""),
          publish(under.broker, draft("b", t), ""),
        ]),
      );
      for (const room of ["a", "b"]) {
        const events = under.delivered
          .map((d) => d.event)
          .filter((e) => e.room === room);
        expect(events.map((e) => e.text)).toEqual(texts);
        let position = 0;
        for (const event of events) {
          expect(event.prev).toBeLessThanOrEqual(position);
          expect(event.seq).toBeGreaterThan(position);
          position = event.seq;
        }
      }
    });

    test("only subscribed rooms are delivered, from the head on that subscribing told", async () => {
      await using under = await open();
      const first = await publish(under.broker, draft("a", "unheard"), "");
      expect(under.delivered).toHaveLength(0);
      expect(await under.broker.subscribe("a")).toBe(first.seq);
      await publish(under.broker, draft("a", "heard"), "");
      under.broker.unsubscribe("a");
      await publish(under.broker, draft("a", "unheard again"), "");
      expect(under.delivered.map((d) => d.event.text)).toEqual(["heard"]);
    });

    test("the same user's same id in the same room is stored and delivered once, in flight and later", async () => {
      await using under = await open();
      await under.broker.subscribe("a");
      const [first, repeat] = await Promise.all([
        publish(under.broker, draft("a", "one", { id: "k" }), ""),
        publish(under.broker, draft("a", "another text", { id: "k" }), ""),
      ]);
      const later = await publish(
        under.broker,
        draft("a", "one", { id: "k" }),
        "",
      );
      expect(repeat).toEqual({
        seq: first!.seq,
        ts: first!.ts,
        duplicate: true,
      });
      expect(later).toEqual({
        seq: first!.seq,
        ts: first!.ts,
        duplicate: true,
      });
      expect(under.delivered.map((d) => d.event.text)).toEqual(["one"]);
      const { events } = await under.broker.read("a", {
        ...ALL,
        take: "oldest",
      });
      expect(events).toHaveLength(1);
    });

    test("another user, another room or another id is another message", async () => {
      await using under = await open();
      const results = await Promise.all([
        publish(under.broker, draft("a", "x", { id: "k" }), ""),
        publish(under.broker, draft("a", "x", { id: "k", user: "u2" }), ""),
        publish(under.broker, draft("b", "x", { id: "k" }), ""),
        publish(under.broker, draft("a", "x", { id: "k2" }), ""),
        publish(under.broker, draft("a", "x"), ""),
        publish(under.broker, draft("a", "x"), ""),
      ]);
      expect(results.map((r) => r.duplicate)).toEqual(Array(6).fill(false));
    });

    test("reads give any range, ascending, oldest or latest, and tell whether there is more", async () => {
      await using under = await open();
      const seqs: number[] = [];
      for (let i = 0; i < 150; i++)
        seqs.push((await publish(under.broker, draft("a", `${i}`), "")).seq);
      const read = async (range: object, take: "oldest" | "latest") => {
        const page = await under.broker.read("a", { ...ALL, ...range, take });
        return {
          texts: page.events.map((e) => Number(e.text)),
          more: page.more,
        };
      };
      const count = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) => from + i);
      expect(await read({}, "oldest")).toEqual({
        texts: count(0, 150),
        more: false,
      });
      expect(await read({ limit: 10 }, "oldest")).toEqual({
        texts: count(0, 10),
        more: true,
      });
      expect(await read({ limit: 10 }, "latest")).toEqual({
        texts: count(140, 150),
        more: true,
      });
      expect(await read({ after: seqs[99]! }, "oldest")).toEqual({
        texts: count(100, 150),
        more: false,
      });
      expect(await read({ upto: seqs[49]!, limit: 5 }, "latest")).toEqual({
        texts: count(45, 50),
        more: true,
      });
      expect(
        await read({ after: seqs[9]!, upto: seqs[12]! }, "oldest"),
      ).toEqual({
        texts: [10, 11, 12],
        more: false,
      });
      expect(await read({ after: seqs[149]! }, "oldest")).toEqual({
        texts: [],
        more: false,
      });
    });

    test("a read stops at its bytes, with at least one event", async () => {
      await using under = await open();
      for (let i = 0; i < 5; i++)
        await publish(under.broker, draft("a", "x".repeat(1000)), "");
      const page = await under.broker.read("a", {
        ...ALL,
        take: "oldest",
        bytes: 10,
      });
      expect(page.events).toHaveLength(1);
      expect(page.more).toBe(true);
    });

    test("a deleted message's content is gone; an event tells so, and one without content stands in its place", async () => {
      await using under = await open();
      const { broker, delivered } = under;
      await broker.subscribe("a");
      const seqs: number[] = [];
      for (const text of ["one", "two", "three"]) {
        const extra = { id: text, data: { text }, dataJson: `{"text":1}` };
        const sent = await publish(broker, draft("a", text, extra), "");
        seqs.push(sent.seq);
      }
      const target = seqs[1]!;
      expect(await broker.delete("a", target)).toBe("deleted");
      expect(delivered).toHaveLength(4);
      const told = delivered[3]!.event;
      expect(told).toMatchObject({ room: "a", target, text: "", dataBytes: 0 });
      expect(told.data).toBeUndefined();
      expect(told.seq).toBeGreaterThan(seqs[2]!);
      expect(told.prev).toBe(seqs[2]!);
      const { events } = await broker.read("a", { ...ALL, take: "oldest" });
      expect(
        events.map(({ seq, text, target }) => ({ seq, text, target })),
      ).toEqual([
        { seq: seqs[0]!, text: "one", target: 0 },
        { seq: target, text: "", target },
        { seq: seqs[2]!, text: "three", target: 0 },
        { seq: told.seq, text: "", target },
      ]);
      expect(events[1]!.data).toBeUndefined();
      expect(await broker.reaches("a", told.seq)).toBe(true);
    });

    test("a deletion is told once, whoever asks again, and there is nothing but messages to delete", async () => {
      await using under = await open();
      const { broker, delivered } = under;
      await broker.subscribe("a");
      const { seq } = await publish(broker, draft("a", "x"), "");
      const both = [broker.delete("a", seq), broker.delete("a", seq)];
      for (const outcome of await Promise.all(both))
        expect(["deleted", "already"]).toContain(outcome);
      expect(await broker.delete("a", seq)).toBe("already");
      expect(delivered).toHaveLength(2);
      const deletion = delivered[1]!.event.seq;
      for (const other of [0, seq + 1000, deletion])
        expect(await broker.delete("a", other)).toBe("missing");
      expect(await broker.delete("b", seq)).toBe("missing");
      expect(delivered).toHaveLength(2);
      expect((await publish(broker, draft("a", "y"), "")).seq).toBeGreaterThan(
        deletion,
      );
    });

    test("a deleted message's idempotency key stays known", async () => {
      await using under = await open();
      const { broker, delivered } = under;
      await broker.subscribe("a");
      const first = await publish(broker, draft("a", "x", { id: "k" }), "");
      await broker.delete("a", first.seq);
      expect(await publish(broker, draft("a", "x", { id: "k" }), "")).toEqual({
        ...first,
        duplicate: true,
      });
      expect(delivered).toHaveLength(2);
    });

    test("a flush resolves when what was published before it is settled", async () => {
      await using under = await open();
      await under.broker.subscribe("a");
      void publish(under.broker, draft("a", "x"), "");
      await under.broker.flush();
      expect(under.delivered).toHaveLength(1);
      await under.broker.flush();
    });
  });
}
