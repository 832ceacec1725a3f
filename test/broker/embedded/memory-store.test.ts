import type { Data } from "../../../src/protocol/messages.ts";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Range } from "../../../src/broker/broker.ts";
import {
  MemoryStore,
  type MemoryStoreOptions,
} from "../../../src/broker/embedded/memory-store.ts";
import type { NewEvent } from "../../../src/broker/embedded/store.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

const UNLIMITED: MemoryStoreOptions = {
  maxBytes: Infinity,
  dedupeWindowMs: Infinity,
  dedupeMaxKeys: 1000,
  retentionMs: Infinity,
  retentionEventsPerRoom: Infinity,
};
const EVERYTHING: Range = {
  after: 0,
  upto: Infinity,
  take: "oldest",
  limit: Infinity,
  bytes: Infinity,
};

interface Given {
  readonly room?: string;
  readonly ts?: number;
  readonly user?: string;
  readonly id?: string;
  readonly text?: string;
  readonly dataJson?: string;
}

/** Hashes keys as the broker does. */
class KeyedStore extends MemoryStore {
  override append(batch: readonly NewEvent[]): void {
    super.append(
      batch.map((event) =>
        event.id === undefined
          ? event
          : {
              ...event,
              keyHash: this.hashKey(event.room, event.user, event.id),
            },
      ),
    );
  }

  lookUp(room: string, user: string, id: string, now: number) {
    return this.find(this.hashKey(room, user, id), room, user, id, now);
  }
}

/** Makes the next event of a room. */
function writer() {
  const heads = new Map<string, number>();
  return (given: Given = {}): NewEvent => {
    const room = given.room ?? "general";
    const prev = heads.get(room) ?? 0;
    heads.set(room, prev + 1);
    return {
      room,
      seq: prev + 1,
      prev,
      user: given.user ?? "u",
      from: "n",
      text: given.text ?? "x",
      ts: given.ts ?? Date.now(),
      id: given.id,
      data: given.dataJson ? (JSON.parse(given.dataJson) as Data) : undefined,
      dataJson: given.dataJson,
      dataBytes: given.dataJson?.length ?? 0,
      target: 0,
      keyHash: undefined,
    };
  };
}

const seqs = (store: MemoryStore, room = "general"): number[] =>
  store.read(room, EVERYTHING).events.map((event) => event.seq);

test("every store has an epoch of its own", () => {
  expect(new KeyedStore(UNLIMITED).epoch).not.toBe(
    new KeyedStore(UNLIMITED).epoch,
  );
});

test("a room never used is empty, and its head is 0", () => {
  const store = new KeyedStore(UNLIMITED);
  expect(store.head("general")).toBe(0);
  expect(store.read("general", EVERYTHING)).toEqual({
    events: [],
    more: false,
  });
});

describe("reading", () => {
  test("stops once text and data reach the bytes, after one event at least", () => {
    const store = new KeyedStore(UNLIMITED);
    const next = writer();
    const event = (): NewEvent => next({ text: "abc", dataJson: '{"a":1}' });
    store.append([event(), event(), event()]);
    const count = (bytes: number): number =>
      store.read("general", { ...EVERYTHING, bytes }).events.length;
    expect([0, 10, 11, 20, 21].map(count)).toEqual([1, 1, 2, 2, 3]);
  });

  test("gives what a plain list would, oldest or latest, up to limit and bytes", () => {
    const events = fc.array(
      fc.record({
        room: fc.constantFrom("a", "b"),
        text: fc.string({ maxLength: 8 }),
        dataJson: fc.option(fc.constant('{"a":1}'), { nil: undefined }),
      }),
      { maxLength: 40 },
    );
    const range = fc.record({
      after: fc.nat({ max: 25 }),
      upto: fc.oneof(fc.nat({ max: 25 }), fc.constant(Infinity)),
      take: fc.constantFrom("oldest" as const, "latest" as const),
      limit: fc.integer({ min: 1, max: 25 }),
      bytes: fc.oneof(fc.nat({ max: 60 }), fc.constant(Infinity)),
    });
    const keep = fc.constantFrom(1, 5, Infinity);
    fc.assert(
      fc.property(events, fc.array(range), keep, (given, ranges, kept) => {
        const store = new KeyedStore({
          ...UNLIMITED,
          retentionEventsPerRoom: kept,
        });
        const next = writer();
        const all = given.map((event) => next(event as Given));
        for (const event of all) store.append([event]);
        const held = all
          .filter((event) => event.room === "a")
          .slice(-Math.min(kept, all.length) || all.length);
        for (const { after, upto, take, limit, bytes } of ranges) {
          const inRange = held.filter((e) => e.seq > after && e.seq <= upto);
          if (take === "latest") inRange.reverse();
          const taken: NewEvent[] = [];
          let sum = 0;
          for (const event of inRange) {
            if (taken.length === limit) break;
            if (taken.length > 0 && sum >= bytes) break;
            sum += event.text.length + (event.dataJson?.length ?? 0);
            taken.push(event);
          }
          const more = taken.length < inRange.length;
          if (take === "latest") taken.reverse();
          const page = store.read("a", { after, upto, take, limit, bytes });
          expect(page).toEqual({ events: taken, more });
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("trimming", () => {
  test("a room keeps its latest events up to the limit, and its head", () => {
    const store = new KeyedStore({ ...UNLIMITED, retentionEventsPerRoom: 3 });
    const next = writer();
    store.append([next(), next({ room: "other" }), next(), next()]);
    expect(seqs(store)).toEqual([1, 2, 3]);
    store.append([next(), next()]);
    expect(seqs(store)).toEqual([3, 4, 5]);
    expect(seqs(store, "other")).toEqual([1]);
    expect(store.head("general")).toBe(5);
  });

  test("events older than the retention go, and the room's head stays", () => {
    const store = new KeyedStore({ ...UNLIMITED, retentionMs: HOUR_MS });
    const next = writer();
    const now = Date.now();
    store.append([
      next({ ts: now - 3 * HOUR_MS }),
      next({ ts: now - 2 * HOUR_MS, room: "old" }),
      next({ ts: now }),
    ]);
    expect(seqs(store)).toEqual([2]);
    expect(seqs(store, "old")).toEqual([]);
    expect(store.head("old")).toBe(1);
    expect(store.head("general")).toBe(2);
  });

  test("events that get old later go when the store is asked later", () => {
    const store = new KeyedStore({ ...UNLIMITED, retentionMs: HOUR_MS });
    const next = writer();
    const now = Date.now();
    store.append([next({ ts: now, id: "1" })]);
    expect(seqs(store)).toEqual([1]);
    expect(store.lookUp("general", "u", "1", now + HOUR_MS)).toBeDefined();
    expect(
      store.lookUp("general", "u", "1", now + HOUR_MS + 1),
    ).toBeUndefined();
    expect(seqs(store)).toEqual([]);
    expect(store.head("general")).toBe(1);
  });

  test("above its bytes the oldest events of all rooms go first, and no more than needed", () => {
    const event = fc.record({
      room: fc.constantFrom("a", "b", "c", "d"),
      bytes: fc.nat({ max: 200_000 }),
    });
    const perRoom = fc.constantFrom(2, Infinity);
    const sum = (events: readonly NewEvent[]): number =>
      events.reduce((bytes, e) => bytes + e.text.length, 0);
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 40 }),
        perRoom,
        (given, retentionEventsPerRoom) => {
          const store = new KeyedStore({
            ...UNLIMITED,
            maxBytes: MIB,
            retentionEventsPerRoom,
          });
          const next = writer();
          let held: NewEvent[] = [];
          for (const { room, bytes } of given) {
            const fresh = next({ room, text: "x".repeat(bytes) });
            store.append([fresh]);
            const stored = new Set(
              ["a", "b", "c", "d"].flatMap(
                (name) => store.read(name, EVERYTHING).events,
              ),
            );
            // What the room's own limit leaves, oldest first; of that, the store may have dropped some from the front.
            const before = [...held, fresh].filter(
              (e) =>
                e.room !== room || e.seq > fresh.seq - retentionEventsPerRoom,
            );
            held = before.filter((e) => stored.has(e));
            const dropped = before.length - held.length;
            expect(held.length).toBe(stored.size);
            expect(held.every((e, i) => e === before[dropped + i])).toBe(true);
            expect(sum(held)).toBeLessThanOrEqual(MIB);
            // With one more it would have been too much; an event takes less than 1 KiB beside its text.
            if (dropped > 0)
              expect(
                sum(before.slice(dropped - 1)) + 1024 * before.length,
              ).toBeGreaterThan(MIB);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("what a room's own limit removed counts no more against the bytes", () => {
    const store = new KeyedStore({
      ...UNLIMITED,
      maxBytes: MIB,
      retentionEventsPerRoom: 1,
    });
    const next = writer();
    store.append([next({ room: "old" })]);
    for (let i = 0; i < 10; i++)
      store.append([next({ text: "x".repeat(300_000) })]);
    expect(seqs(store, "old")).toEqual([1]);
    expect(seqs(store)).toEqual([10]);
  });

  test("an event larger than everything leaves nothing but its head", () => {
    const store = new KeyedStore({ ...UNLIMITED, maxBytes: MIB });
    const next = writer();
    store.append([next(), next({ text: "x".repeat(2 * MIB) })]);
    expect(seqs(store)).toEqual([]);
    expect(store.head("general")).toBe(2);
    store.append([next()]);
    expect(seqs(store)).toEqual([3]);
  });
});

describe("idempotency keys", () => {
  const now = Date.now();
  const storeWith = (options: Partial<MemoryStoreOptions>) =>
    new KeyedStore({ ...UNLIMITED, ...options });

  test("are found by room, user and id together", () => {
    const store = storeWith({});
    const next = writer();
    store.append([next(), next({ id: "1", ts: now }), next({ id: "2" })]);
    expect(store.lookUp("general", "u", "1", now)).toEqual({ seq: 2, ts: now });
    expect(store.lookUp("general", "u", "2", now)?.seq).toBe(3);
    expect(store.lookUp("general", "u", "3", now)).toBeUndefined();
    expect(store.lookUp("general", "v", "1", now)).toBeUndefined();
    expect(store.lookUp("other", "u", "1", now)).toBeUndefined();
  });

  test("are known until the window ends", () => {
    const store = storeWith({ dedupeWindowMs: 1000 });
    const next = writer();
    store.append([next({ id: "1", ts: now })]);
    expect(store.lookUp("general", "u", "1", now + 1000)?.seq).toBe(1);
    expect(store.lookUp("general", "u", "1", now + 1001)).toBeUndefined();
    expect(seqs(store)).toEqual([1]);
  });

  test("leave from the oldest when there are too many", () => {
    const store = storeWith({ dedupeMaxKeys: 2 });
    const next = writer();
    store.append(["1", "2", "3"].map((id) => next({ id, ts: now })));
    expect(store.lookUp("general", "u", "1", now)).toBeUndefined();
    expect(store.lookUp("general", "u", "2", now)?.seq).toBe(2);
    expect(store.lookUp("general", "u", "3", now)?.seq).toBe(3);
  });

  test("are never longer known than their events", () => {
    const store = storeWith({ retentionEventsPerRoom: 2 });
    const next = writer();
    store.append(["1", "2", "3"].map((id) => next({ id, ts: now })));
    expect(store.lookUp("general", "u", "1", now)).toBeUndefined();
    expect(store.lookUp("general", "u", "2", now)?.seq).toBe(2);
  });

  test("are told apart where their hashes collide", () => {
    const store = new MemoryStore(UNLIMITED);
    const next = writer();
    const keys = [
      { room: "a", user: "u", id: "1" },
      { room: "a", user: "u", id: "2" },
      { room: "a", user: "v", id: "1" },
      { room: "b", user: "u", id: "1" },
    ];
    const events = keys.map((key) => ({ ...next(key), keyHash: 7, ts: now }));
    const last = events.pop()!;
    store.append(events);
    const find = ({ room, user, id }: (typeof keys)[number]) =>
      store.find(7, room, user, id, now)?.seq;
    expect(keys.map(find)).toEqual([1, 2, 3, undefined]);
    store.append([last]);
    expect(keys.map(find)).toEqual([1, 2, 3, 1]);
  });

  test("agree with a plain list, whatever is stored, trimmed and asked", () => {
    const start = now + 1000 * HOUR_MS;
    const operation = fc.record({
      room: fc.constantFrom("a", "b"),
      user: fc.constantFrom("u", "v"),
      id: fc.constantFrom("1", "2", "3", "4", "5", "6"),
      named: fc.boolean(),
      afterMs: fc.nat({ max: 50 }),
    });
    const limits = fc.record({
      dedupeWindowMs: fc.constantFrom(0, 100, 1000),
      retentionMs: fc.constantFrom(200, 2000),
      dedupeMaxKeys: fc.constantFrom(0, 1, 5, 100),
      retentionEventsPerRoom: fc.constantFrom(1, 4, Infinity),
    });
    fc.assert(
      fc.property(fc.array(operation), limits, (operations, options) => {
        const store = storeWith(options);
        const next = writer();
        const events: NewEvent[] = [];
        let time = start;
        for (const { room, user, id, named, afterMs } of operations) {
          time += afterMs;
          const known = events
            .filter((e) => e.id !== undefined)
            .slice(-options.dedupeMaxKeys || events.length)
            .filter(
              (e) =>
                e.ts >= time - options.dedupeWindowMs &&
                e.ts >= time - options.retentionMs &&
                e.seq > store.head(e.room) - options.retentionEventsPerRoom,
            )
            .find((e) => e.room === room && e.user === user && e.id === id);
          const found = store.lookUp(room, user, id, time);
          expect(found).toEqual(known && { seq: known.seq, ts: known.ts });
          // As the broker does: what is known is not stored again.
          if (found) continue;
          const event = next({ room, user, ts: time, ...(named && { id }) });
          events.push(event);
          store.append([event]);
        }
      }),
      { numRuns: 300 },
    );
  });
});
