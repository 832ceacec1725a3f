import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { RoomEvent } from "../../../src/broker/broker.ts";
import { EmbeddedBroker } from "../../../src/broker/embedded/embedded.ts";
import { SqliteStore } from "../../../src/broker/embedded/sqlite-store.ts";
import { Random, testSeed } from "../../support/random.ts";
import { TempFolder } from "../../support/server.ts";
import { draft, publish } from "../contract.ts";

/** What deletions leave on the disk: nothing, wherever the content had got to. */

// What is never gone ends by it; the preload's reaches only the first file of a run.
setDefaultTimeout(60_000);

const OPTIONS = {
  commitPaceMs: 1,
  busyEventsPerMs: 5,
  maxUncommittedEvents: 10_000,
  maxUnmovedEvents: 1_000_000,
};
const SOON_MS = 20;
const NEVER_MS = 3_600_000;

class Opened implements AsyncDisposable {
  readonly store: SqliteStore;
  readonly broker: EmbeddedBroker<string>;
  readonly delivered: RoomEvent[] = [];

  constructor(
    readonly folder: TempFolder,
    options: Partial<ConstructorParameters<typeof SqliteStore>[0]> = {},
  ) {
    this.store = new SqliteStore({
      logFile: join(folder.path, "log.db"),
      historyFile: join(folder.path, "history.db"),
      durability: "normal",
      dedupeWindowMs: 600_000,
      dedupeMaxKeys: 10_000,
      retentionMs: Infinity,
      retentionEventsPerRoom: Infinity,
      moveIntervalMs: SOON_MS,
      onFailure: (message) => console.error(message),
      ...options,
    });
    this.broker = new EmbeddedBroker<string>(
      this.store,
      (event) => this.delivered.push(event),
      OPTIONS,
    );
    this.store.gate = this.broker;
  }

  async say(room: string, text: string, data?: object): Promise<number> {
    const dataJson = data && JSON.stringify(data);
    const what = draft(room, text, { data: data as never, dataJson });
    return (await publish(this.broker, what, "")).seq;
  }

  async texts(room: string): Promise<string[]> {
    const all = { after: 0, upto: 1e9, limit: 1e6, bytes: 1e9 };
    const page = await this.broker.read(room, { ...all, take: "oldest" });
    return page.events.map(({ seq, text, target }) =>
      target === 0 ? text : target === seq ? "(gone)" : `(deletes ${target})`,
    );
  }

  /** Everything in the log is in the history. */
  async moved(): Promise<void> {
    while (this.store.backlog > 0) await Bun.sleep(1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.close();
  }
}

/** Which of these strings some file of the folder holds. */
function onDisk({ path }: TempFolder, needles: readonly string[]): string[] {
  const files = readdirSync(path).map((name) =>
    readFileSync(join(path, name)).toString("latin1"),
  );
  return needles.filter((needle) =>
    files.some((file) => file.includes(needle)),
  );
}

/** The mover's work is done when they are gone: one that is not ends the test by its time. */
async function gone(folder: TempFolder, needles: string[]): Promise<void> {
  while (onDisk(folder, needles).length > 0) await Bun.sleep(10);
}

describe("deleted content", () => {
  // Large ones do not fit in a page.
  const large = "y".repeat(4000);
  const data = { note: `needle-data ${large}` };

  test("is gone from log, history and both write-ahead logs, wherever it was", async () => {
    using folder = new TempFolder();
    const needles = ["needle-logged", "needle-moved", "needle-data"];
    await using opened = new Opened(folder);
    const { broker } = opened;
    const moved = await opened.say("a", "needle-moved", data);
    await opened.say("a", "other-1");
    await opened.moved();
    const logged = await opened.say("a", `needle-logged ${large}`, data);
    await opened.say("b", "other-2", { note: "other-3" });
    expect(onDisk(folder, needles)).toEqual(needles);
    for (const seq of [moved, logged])
      expect(await broker.delete("a", seq)).toBe("deleted");
    const expected = [
      "(gone)",
      "other-1",
      "(gone)",
      "(deletes 1)",
      "(deletes 3)",
    ];
    expect(await opened.texts("a")).toEqual(expected);
    await gone(folder, needles);
    await opened.moved();
    expect(await opened.texts("a")).toEqual(expected);
    expect(await opened.texts("b")).toEqual(["other-2"]);
    const others = ["other-1", "other-2", "other-3"];
    expect(onDisk(folder, others)).toEqual(others);
  });

  test("shows nowhere before the history knows of it, nor after a restart", async () => {
    using folder = new TempFolder();
    {
      await using first = new Opened(folder);
      await first.say("a", "needle-old");
      await first.say("a", "kept");
      await first.moved();
    }
    const expected = ["(gone)", "kept", "(deletes 1)"];
    {
      await using second = new Opened(folder, { moveIntervalMs: NEVER_MS });
      expect(await second.broker.delete("a", 1)).toBe("deleted");
      const history = new Database(join(folder.path, "history.db"));
      expect(
        history.query("SELECT text FROM events WHERE seq = 1").get(),
      ).toEqual({ text: "needle-old" });
      history.close();
      expect(await second.texts("a")).toEqual(expected);
      expect(await second.broker.delete("a", 1)).toBe("already");
    }
    await using third = new Opened(folder);
    expect(await third.texts("a")).toEqual(expected);
    expect(await third.broker.delete("a", 1)).toBe("already");
    // The end moved it; what was left of it goes with the next start's first work.
    await third.say("b", "something");
    await gone(folder, ["needle-old"]);
  });

  test("is not in a history that was killed before it knew", async () => {
    using folder = new TempFolder();
    using copy = new TempFolder();
    await using opened = new Opened(folder, { moveIntervalMs: NEVER_MS });
    await opened.say("a", "needle-unmoved");
    await opened.broker.delete("a", 1);
    // As the kernel would leave the files after a kill.
    for (const name of readdirSync(folder.path))
      await Bun.write(join(copy.path, name), Bun.file(join(folder.path, name)));
    await using again = new Opened(copy);
    expect(await again.texts("a")).toEqual(["(gone)", "(deletes 1)"]);
    await gone(copy, ["needle-unmoved"]);
  });

  test("is not left in a log whose rows have gone before", async () => {
    using folder = new TempFolder();
    await using opened = new Opened(folder, { dedupeWindowMs: 0 });
    const needles: string[] = [];
    for (let i = 0; i < 300; i++) {
      needles.push(`needle-${i}.`);
      await opened.say("a", `${needles[i]} ${i % 7 === 0 ? large : ""}`);
    }
    const rows = (): number => {
      const log = new Database(join(folder.path, "log.db"), { readonly: true });
      const { n } = log.query("SELECT count(*) AS n FROM log").get() as {
        n: number;
      };
      log.close();
      return n;
    };
    await opened.moved();
    while (rows() > 64) await opened.say("b", "more");
    for (let seq = 1; seq <= 300; seq++) await opened.broker.delete("a", seq);
    await gone(folder, needles);
  });

  test("is gone however pages were split and filled, of many rooms", async () => {
    const seed = testSeed();
    const random = new Random(seed);
    using folder = new TempFolder();
    await using opened = new Opened(folder);
    const alive: { room: string; seq: number; needle: string }[] = [];
    const deleted: string[] = [];
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        Array.from({ length: 800 }, async (_, i) => {
          const room = `room-${random.below(150)}`;
          const needle = `needle-${round}-${i}.`;
          const filler = "z".repeat(
            random.below(random.chance(0.1) ? 5000 : 200),
          );
          const data = random.chance(0.1) ? { [needle]: filler } : undefined;
          const seq = await opened.say(room, needle + filler, data);
          alive.push({ room, seq, needle });
        }),
      );
      await opened.moved();
      const chosen = Array.from(
        { length: 60 },
        () => alive.splice(random.below(alive.length), 1)[0]!,
      );
      const outcomes = chosen.map(({ room, seq }) =>
        opened.broker.delete(room, seq),
      );
      for (const outcome of await Promise.all(outcomes))
        expect(outcome).toBe("deleted");
      deleted.push(...chosen.map(({ needle }) => needle));
    }
    await gone(folder, deleted);
    const kept = alive.slice(0, 50).map(({ needle }) => needle);
    expect(onDisk(folder, kept), `seed ${seed}`).toHaveLength(kept.length);
  });

  test("was trimmed, or is beyond retention: then there is nothing to delete", async () => {
    using folder = new TempFolder();
    await using opened = new Opened(folder, { retentionEventsPerRoom: 3 });
    for (let i = 1; i <= 5; i++) await opened.say("a", `m${i}`);
    expect(await opened.broker.delete("a", 2)).toBe("missing");
    expect(await opened.broker.delete("a", 3)).toBe("deleted");
    expect(await opened.texts("a")).toEqual(["m4", "m5", "(deletes 3)"]);
    expect(await opened.broker.delete("a", 3)).toBe("missing");
  });
});
