import { Database, type Statement } from "bun:sqlite";
import type { LogRow } from "./log.ts";
import { HISTORY_SCHEMA, getMeta, migrate } from "./schema.ts";

type HistoryRow = Omit<LogRow, "room">;

/** The reading side of the history file. The mover, on its thread, is the only writer. */
export class History {
  readonly #db: Database;
  readonly #room: Statement<{ id: number; head: number }, [string]>;
  readonly #oldest: Statement<
    HistoryRow,
    [number, number, number, number, number]
  >;
  readonly #latest: Statement<
    HistoryRow,
    [number, number, number, number, number]
  >;

  constructor(file: string) {
    const db = new Database(file, { create: true, readwrite: true });
    this.#db = db;
    db.run("PRAGMA busy_timeout = 1000");
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA wal_autocheckpoint = 0");
    migrate(db, HISTORY_SCHEMA, file);
    db.run("PRAGMA query_only = ON");
    const select =
      "SELECT seq, ts, user, name, id, text, data, kind FROM events WHERE room = ? AND seq > ? AND seq <= ? AND ts >= ?";
    this.#room = db.prepare("SELECT id, head FROM rooms WHERE name = ?");
    this.#oldest = db.prepare(`${select} ORDER BY seq LIMIT ?`);
    this.#latest = db.prepare(`${select} ORDER BY seq DESC LIMIT ?`);
  }

  /** Number of the last log row that the history holds. */
  get moved(): number {
    return Number(getMeta(this.#db, "moved") ?? 0);
  }

  room(name: string): { id: number; head: number } | undefined {
    return this.#room.get(name) ?? undefined;
  }

  /** Number of the log row that an event came from: 0 where it is not known, undefined where there is no such event. */
  logRow(room: string, seq: number): number | undefined {
    const found = this.#db
      .query(
        "SELECT n FROM events WHERE room = (SELECT id FROM rooms WHERE name = ?) AND seq = ?",
      )
      .get(room, seq) as { n: number } | null;
    return found?.n;
  }

  /** Events with `after < seq <= upto` not older than `ts`, in the order in which `take` walks. */
  read(
    room: number,
    after: number,
    upto: number,
    ts: number,
    take: "oldest" | "latest",
    limit: number,
  ): HistoryRow[] {
    const statement = take === "oldest" ? this.#oldest : this.#latest;
    return statement.all(room, after, upto, ts, limit);
  }

  close(): void {
    this.#db.close();
  }
}
