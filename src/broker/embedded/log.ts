import { Database, SQLiteError, type Statement } from "bun:sqlite";
import { bootId } from "../../data/boot-id.ts";
import { KIND, LOG_SCHEMA, getMeta, migrate, setMeta } from "./schema.ts";
import { StoreError, type NewEvent } from "./store.ts";

export interface LogRow {
  readonly room: string;
  readonly seq: number;
  readonly ts: number;
  readonly user: string;
  readonly name: string;
  readonly id: string | null;
  readonly text: string;
  readonly data: string | null;
  /** Of KIND. */
  readonly kind: number;
}

/** A row that the history does not hold. */
export interface NewRow {
  readonly n: number;
  readonly room: string;
  readonly seq: number;
  /** Seq of the message that it deletes; null where it does not. */
  readonly target: number | null;
}

const WRITTEN = "room, seq, ts, user, name, id, text, data";
const COLUMNS = `${WRITTEN}, kind`;

/** The append-only log file. This thread is its only writer; the mover reads and checkpoints it. */
export class Log {
  readonly epoch: string;
  /** Number of the last row ever written. */
  #last: number;
  /** All rows up to this one are removed. */
  #removed: number;
  readonly #db: Database;
  readonly #insert: Statement;
  readonly #insertDeletion: Statement;
  readonly #erase: Statement;
  readonly #row: Statement<LogRow, [number]>;
  readonly #remove: Statement;
  // Prepared as well: to parse them costs a third of a small commit.
  readonly #begin: Statement;
  readonly #commit: Statement;

  constructor(
    file: string,
    durability: "normal" | "full",
    /** Last row that the history holds: it may be ahead of the log where the log lost its end. */
    moved: number,
  ) {
    const db = new Database(file, { create: true, readwrite: true });
    this.#db = db;
    // Only a stranger could hold a lock; this thread serves sockets and cannot wait long.
    db.run("PRAGMA busy_timeout = 100");
    db.run("PRAGMA journal_mode = WAL");
    // A checkpoint syncs the disk: the mover does it on its thread.
    db.run("PRAGMA wal_autocheckpoint = 0");
    // What a removed row said must not stay behind in free pages: its message may be deleted only later.
    db.run("PRAGMA secure_delete = ON");
    // Whatever the durability, the mark that this log is open must reach the disk before any event.
    db.run("PRAGMA synchronous = FULL");
    if (durability === "full") db.run("PRAGMA fullfsync = ON");
    migrate(db, LOG_SCHEMA, file);
    this.epoch = db.transaction(() => claimEpoch(db, durability)).immediate();
    db.run(`PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);

    const bounds = db
      .query("SELECT min(n) AS first, max(n) AS last FROM log")
      .get() as {
      first: number | null;
      last: number | null;
    };
    this.#last = Math.max(bounds.last ?? 0, moved);
    this.#removed = bounds.first === null ? this.#last : bounds.first - 1;
    const insert = `INSERT INTO log (n, ${WRITTEN}, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?`;
    this.#insert = db.prepare(`${insert}, ${KIND.message})`);
    this.#insertDeletion = db.prepare(`${insert}, ${KIND.deletion})`);
    this.#erase = db.prepare(
      `UPDATE log SET text = ?, data = ?, kind = ${KIND.erased} WHERE n = ? AND kind = ${KIND.message}`,
    );
    this.#row = db.prepare(`SELECT ${COLUMNS} FROM log WHERE n = ?`);
    this.#remove = db.prepare("DELETE FROM log WHERE n > ? AND n <= ?");
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
  }

  get last(): number {
    return this.#last;
  }

  /**
   * Appends a batch and removes rows up to `removable`, a bounded number of them, in one transaction.
   * @param erased numbers of rows whose content goes
   * @returns number of the batch's first row
   * @throws StoreError nothing was written
   */
  append(
    batch: readonly NewEvent[],
    removable: number,
    erased: readonly number[],
  ): number {
    const first = this.#last + 1;
    // Twice what comes in leaves again, so that removal catches up without ever being felt.
    const removed = Math.min(
      removable,
      this.#removed + 2 * batch.length + REMOVED_AT_LEAST,
    );
    this.#transaction(() => {
      let n = first;
      for (const e of batch)
        (e.target > 0 ? this.#insertDeletion : this.#insert).run(
          n++,
          e.room,
          e.seq,
          e.ts,
          e.user,
          e.from,
          e.id ?? null,
          e.target > 0 ? String(e.target) : e.text,
          e.dataJson ?? null,
        );
      for (const row of erased) this.#overwrite(row);
      if (removed - this.#removed >= REMOVED_AT_LEAST)
        this.#remove.run(this.#removed, removed);
    });
    if (removed - this.#removed >= REMOVED_AT_LEAST) this.#removed = removed;
    this.#last += batch.length;
    return first;
  }

  /**
   * Writes a page without changing anything.
   * @throws StoreError
   */
  probe(): void {
    this.#transaction(() => setMeta(this.#db, "clean", "0"));
  }

  /** Removes rows while nothing is written. @returns whether there is more to remove */
  removeSome(removable: number): boolean {
    const upto = Math.min(removable, this.#removed + REMOVED_WHEN_IDLE);
    if (upto <= this.#removed) return false;
    this.#transaction(() => this.#remove.run(this.#removed, upto));
    this.#removed = upto;
    return upto < removable;
  }

  row(n: number): LogRow | undefined {
    return this.#row.get(n) ?? undefined;
  }

  /** The number of an event's row, by a walk through them all; undefined where it is removed. */
  find(room: string, seq: number): number | undefined {
    const found = this.#db
      .query("SELECT n FROM log WHERE room = ? AND seq = ?")
      .get(room, seq) as { n: number } | null;
    return found?.n;
  }

  /** Rows above `n`, oldest first. */
  *rowsAfter(n: number): Generator<NewRow> {
    yield* this.#db
      .prepare(
        `SELECT n, room, seq, CASE kind WHEN ${KIND.deletion} THEN CAST(text AS INTEGER) END AS target
         FROM log WHERE n > ? ORDER BY n`,
      )
      .iterate(n) as IterableIterator<NewRow>;
  }

  /** Rows with an idempotency key, not older than `ts`, oldest first. */
  *keysSince(ts: number): Generator<{
    n: number;
    room: string;
    user: string;
    id: string;
    ts: number;
  }> {
    yield* this.#db
      .prepare(
        "SELECT n, room, user, id, ts FROM log WHERE id IS NOT NULL AND ts >= ? ORDER BY n",
      )
      .iterate(ts) as IterableIterator<{
      n: number;
      room: string;
      user: string;
      id: string;
      ts: number;
    }>;
  }

  /** Marks the shutdown as clean and syncs. */
  close(): void {
    this.#db.run("PRAGMA synchronous = FULL");
    setMeta(this.#db, "clean", "1");
    this.#db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#db.close();
  }

  /**
   * Puts as many bytes in the place of a message's content. A row of another size would be written anew, and pages might
   * be merged: each leaves a copy of what it moves.
   */
  #overwrite(n: number): void {
    const row = this.row(n);
    if (!row) return;
    const blank = (text: string): string => " ".repeat(Buffer.byteLength(text));
    this.#erase.run(
      blank(row.text),
      row.data === null ? null : blank(row.data),
      n,
    );
  }

  #transaction(work: () => void): void {
    try {
      this.#begin.run();
      work();
      this.#commit.run();
    } catch (error) {
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      if (error instanceof SQLiteError) throw new StoreError(error.message);
      throw error;
    }
  }
}

const REMOVED_AT_LEAST = 64;
const REMOVED_WHEN_IDLE = 2000;

/**
 * The epoch this run continues, or a new one: for a new or restored store, and where the log may have lost its end,
 * that is after an unclean shutdown under another boot of the machine, unless every commit was synced.
 */
function claimEpoch(db: Database, durability: "normal" | "full"): string {
  const boot = bootId();
  const mayHaveLostItsEnd =
    getMeta(db, "clean") !== "1" &&
    getMeta(db, "durability") !== "full" &&
    (boot === undefined || getMeta(db, "boot") !== boot);
  let epoch = getMeta(db, "epoch");
  if (!epoch || mayHaveLostItsEnd) {
    epoch = newEpoch();
    setMeta(db, "epoch", epoch);
  }
  setMeta(db, "clean", "0");
  setMeta(db, "boot", boot ?? "");
  setMeta(db, "durability", durability);
  return epoch;
}

export function newEpoch(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString(
    "base64url",
  );
}
