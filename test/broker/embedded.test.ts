import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BrokerError, type RoomEvent } from "../../src/broker/broker.ts";
import {
  EmbeddedBroker,
  type EmbeddedOptions,
} from "../../src/broker/embedded/embedded.ts";
import { MemoryStore } from "../../src/broker/embedded/memory-store.ts";
import { SqliteStore } from "../../src/broker/embedded/sqlite-store.ts";
import { FULL_WAL_BYTES, walBytes } from "../../src/broker/embedded/wal.ts";
import { StoreError, type Store } from "../../src/broker/embedded/store.ts";
import { TempFolder } from "../support/server.ts";
import { Watchers } from "../support/watchers.ts";
import {
  brokerContract,
  publish,
  draft,
  type BrokerUnderTest,
} from "./contract.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const OPTIONS = {
  commitPaceMs: 1,
  busyEventsPerMs: 5,
  maxUncommittedEvents: 10_000,
  maxUnmovedEvents: 1_000_000,
};

const STORE = {
  moveIntervalMs: 5000,
  dedupeWindowMs: 600_000,
  dedupeMaxKeys: 10_000,
  retentionMs: Infinity,
  retentionEventsPerRoom: Infinity,
};

function openOn(
  store: Store,
  folder?: TempFolder,
  options: Partial<EmbeddedOptions> = {},
): BrokerUnderTest {
  const delivered: { event: RoomEvent; origin: string | undefined }[] = [];
  const broker = new EmbeddedBroker<string>(
    store,
    (event, origin) => delivered.push({ event, origin }),
    { ...OPTIONS, ...options },
  );
  return {
    broker,
    delivered,
    async [Symbol.asyncDispose]() {
      await broker.close();
      folder?.[Symbol.dispose]();
    },
  };
}

function openSqlite(folder: TempFolder, extra: object = {}): SqliteStore {
  return new SqliteStore({
    ...STORE,
    ...extra,
    logFile: join(folder.path, "log.db"),
    historyFile: join(folder.path, "history.db"),
    durability: "normal",
    onFailure: (message) => console.error(message),
  });
}

brokerContract("the embedded broker over SQLite", async () => {
  const folder = new TempFolder();
  return openOn(openSqlite(folder), folder);
});

brokerContract(
  "the embedded broker over SQLite with a synced log",
  async () => {
    const folder = new TempFolder();
    const store = new SqliteStore({
      ...STORE,
      logFile: join(folder.path, "log.db"),
      historyFile: join(folder.path, "history.db"),
      durability: "full",
      onFailure: (message) => console.error(message),
    });
    return openOn(store, folder);
  },
);

brokerContract("the embedded broker in memory", async () =>
  openOn(new MemoryStore({ ...STORE, maxBytes: 1e9 })),
);

/** A store that refuses the batches it is told to. */
class FailingStore extends MemoryStore {
  failures = 0;

  override append(batch: Parameters<MemoryStore["append"]>[0]): void {
    if (this.failures-- > 0) throw new StoreError("the disk is full");
    super.append(batch);
  }
}

describe("the embedded broker", () => {
  test("answers unavailable when the store refuses, and leaves no trace of the batch", async () => {
    const store = new FailingStore({ ...STORE, maxBytes: 1e9 });
    await using under = openOn(store);
    await under.broker.subscribe("a");
    await publish(under.broker, draft("a", "one"), "");
    store.failures = 1;
    const refused = await Promise.allSettled([
      publish(under.broker, draft("a", "two", { id: "k" }), ""),
      publish(under.broker, draft("a", "again", { id: "k" }), ""),
      publish(under.broker, draft("b", "other"), ""),
    ]);
    for (const result of refused) {
      expect(result.status).toBe("rejected");
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(
        BrokerError,
      );
      expect((result as PromiseRejectedResult).reason.code).toBe("unavailable");
    }
    const next = await publish(
      under.broker,
      draft("a", "two", { id: "k" }),
      "",
    );
    expect(next).toMatchObject({ seq: 2, duplicate: false });
    expect(under.delivered.map((d) => d.event.text)).toEqual(["one", "two"]);
  });

  test("answers overloaded when too many drafts wait", async () => {
    await using under = openOn(
      new MemoryStore({ ...STORE, maxBytes: 1e9 }),
      undefined,
      {
        maxUncommittedEvents: 3,
      },
    );
    const results = await Promise.allSettled(
      [1, 2, 3, 4].map((n) => publish(under.broker, draft("a", `${n}`), "")),
    );
    expect(results.map((r) => r.status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
    ]);
    expect((results[3] as PromiseRejectedResult).reason.code).toBe(
      "overloaded",
    );
  });

  test("keeps events, heads, epoch and idempotency keys over a restart", async () => {
    using folder = new TempFolder();
    let epoch: string;
    {
      await using under = openOn(openSqlite(folder));
      epoch = under.broker.epoch;
      for (let i = 0; i < 10; i++)
        await publish(under.broker, draft("a", `${i}`, { id: `k${i}` }), "");
    }
    await using under = openOn(openSqlite(folder));
    expect(under.broker.epoch).toBe(epoch);
    expect(await under.broker.subscribe("a")).toBe(10);
    expect(
      await publish(under.broker, draft("a", "repeat", { id: "k3" }), ""),
    ).toMatchObject({
      seq: 4,
      duplicate: true,
    });
    expect((await publish(under.broker, draft("a", "new"), "")).seq).toBe(11);
    const page = await under.broker.read("a", {
      after: 0,
      upto: 100,
      take: "oldest",
      limit: 100,
      bytes: 1e9,
    });
    expect(page.events.map((e) => e.seq)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    ]);
  });

  test("is not ready for as long as the store refuses, and finds out by itself when it does not", async () => {
    using folder = new TempFolder();
    const store = openSqlite(folder);
    const log: string[] = [];
    await using under = openOn(store, undefined, {
      onOutage: (reason: string) => log.push(reason),
      onRecovery: () => log.push("again"),
    });
    const { broker } = under;
    const trials = new Watchers();
    let tried = 0;
    const probe = store.probe.bind(store);
    store.probe = () => {
      tried++;
      try {
        probe();
      } finally {
        trials.changed();
      }
    };
    await publish(broker, draft("a", "one"), "");
    expect(broker.ready).toBe(true);
    const stranger = new Database(join(folder.path, "log.db"));
    stranger.run("BEGIN IMMEDIATE");
    for (let i = 0; i < 3; i++)
      await publish(broker, draft("a", "two"), "").catch(() => {});
    for (let n = 1; n <= 3; n++) {
      await trials.until(() => tried === n);
      expect(broker.ready).toBe(false);
    }
    stranger.run("ROLLBACK");
    stranger.close();
    await trials.until(() => tried === 4);
    await new Promise((resolve) => setImmediate(resolve));
    expect(broker.ready).toBe(true);
    expect(log).toEqual(["database is locked", "again"]);
    expect(await publish(broker, draft("a", "two"), "")).toMatchObject({
      seq: 2,
    });
  });

  test("holds commits while the gate is held, and loses nothing", async () => {
    const store = new MemoryStore({ ...STORE, maxBytes: 1e9 });
    const delivered: string[] = [];
    const broker = new EmbeddedBroker<string>(
      store,
      (e) => delivered.push(e.text),
      OPTIONS,
    );
    await broker.subscribe("a");
    broker.hold();
    const published = publish(broker, draft("a", "x"), "");
    await new Promise((resolve) => setImmediate(resolve));
    expect(delivered).toEqual([]);
    broker.resume();
    await published;
    expect(delivered).toEqual(["x"]);
    await broker.close();
  });

  test("starts the log's write-ahead log anew while events keep coming, and cuts it when they do not", async () => {
    using folder = new TempFolder();
    const store = openSqlite(folder, {
      moveIntervalMs: 50,
      dedupeWindowMs: 0,
    });
    const broker = new EmbeddedBroker<string>(store, () => {}, OPTIONS);
    const anew = Promise.withResolvers<void>();
    const quiet = Promise.withResolvers<void>();
    let holds = 0;
    store.gate = {
      hold() {
        holds++;
        broker.hold();
      },
      resume() {
        broker.resume();
        (holds === 1 ? anew : quiet).resolve();
      },
    };
    let done = false;
    void anew.promise.then(() => (done = true));
    const text = "x".repeat(4000);
    // The header of a write-ahead log counts how often it was begun (https://sqlite.org/fileformat2.html#walformat).
    const file = join(folder.path, "log.db");
    const begun = () => readFileSync(`${file}-wal`).readUInt32BE(12);
    const first = begun();
    // The bound ends a run in which it is never begun anew; it is far from what it takes.
    for (let round = 0; !done && round < 8000; round++) {
      await Promise.all(
        Array.from({ length: 20 }, () => publish(broker, draft("a", text), "")),
      );
      // A turn of the event loop, for the mover's messages.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(holds).toBe(1);
    expect(walBytes(file)).toBeGreaterThanOrEqual(FULL_WAL_BYTES);
    await publish(broker, draft("a", text), "");
    expect(begun()).toBe(first + 1);
    // Nothing comes any more: now it may take its time.
    await quiet.promise;
    expect(walBytes(file)).toBe(0);
    await broker.close();
  });
});
