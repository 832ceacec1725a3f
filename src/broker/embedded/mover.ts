/**
 * The background of the SQLite store, in a Worker: copies events from the log into the history, checkpoints both files,
 * and removes what retention says. It shares nothing with the sockets' thread but the files.
 */
import { Database } from "bun:sqlite";
import { KIND, setMeta, getMeta } from "./schema.ts";
import { FULL_WAL_BYTES, LONG_WAL_BYTES, walBytes } from "./wal.ts";

declare const self: Worker;

export interface MoverOptions {
  readonly logFile: string;
  readonly historyFile: string;
  /** Infinity for none. */
  readonly retentionMs: number;
  readonly retentionEventsPerRoom: number;
  readonly moveIntervalMs: number;
}

export type ToMover =
  | { readonly type: "open"; readonly options: MoverOptions }
  /** Copy rows up to `upto`, with `deletions` among them. */
  | {
      readonly type: "move";
      readonly upto: number;
      readonly deletions: boolean;
    }
  /** The log's WAL is long: see to it without waiting for the next move. */
  | { readonly type: "checkpoint" }
  /** The log has no open transaction and gets none until `release`. */
  | { readonly type: "held" }
  | {
      readonly type: "close";
      readonly upto: number;
      readonly deletions: boolean;
    };

export type FromMover =
  | { readonly type: "moved"; readonly upto: number }
  /** All rows up to `upto` are in the history and on the disk. */
  | { readonly type: "synced"; readonly upto: number }
  /** The mover asks for a moment without a writer on the log. */
  | { readonly type: "hold" }
  | { readonly type: "release" }
  | { readonly type: "idle" }
  | { readonly type: "failed"; readonly message: string }
  /** Something that keeps nothing else from going on. */
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "closed" };

/** One transaction's rows: large enough that a room's rows fill pages, small enough that the log's WAL is not held long. */
const ROWS_PER_MOVE = 200_000;
const EVENTS_PER_PRUNE = 2_000;
const ROOMS_PER_PRUNE = 100;
/** A vacuum takes at most this part of the mover's time, and is not for larger files. */
const VACUUM_SHARE = 1 / 60;
/** After one that failed: for want of room, say. */
const VACUUM_RETRY_MS = 60_000;
const MAX_VACUUM_BYTES = 4 * 1024 ** 3;

class Mover {
  readonly #history: Database;
  readonly #log: Database;
  #moved: number;
  #synced = 0;
  #retainedAt = 0;
  readonly #logPageBytes: number;
  /** Frames in the log's WAL when it was last looked at. */
  #logFrames = 0;
  /** Content was deleted of which the files may still hold copies: what is to be done about it. */
  #stale: { vacuum: boolean; history: boolean; log: boolean } | undefined;
  /** When the next vacuum may begin, as `performance.now()`. */
  #vacuumAt = -Infinity;

  constructor(private readonly options: MoverOptions) {
    this.#history = new Database(options.historyFile, { readwrite: true });
    this.#history.run("PRAGMA busy_timeout = 5000");
    this.#history.run("PRAGMA synchronous = NORMAL");
    this.#history.run("PRAGMA wal_autocheckpoint = 0");
    this.#history.run("PRAGMA cache_size = -65536");
    // What was deleted or moved within the file is overwritten, but for gaps in pages: those go with a vacuum.
    this.#history.run("PRAGMA secure_delete = ON");
    this.#history.query("ATTACH ? AS source").run(options.logFile);
    this.#log = new Database(options.logFile, { readwrite: true });
    this.#log.run("PRAGMA busy_timeout = 5000");
    this.#log.run("PRAGMA wal_autocheckpoint = 0");
    this.#logPageBytes = Number(
      (this.#log.query("PRAGMA page_size").get() as { page_size: number })
        .page_size,
    );
    this.#moved = Number(getMeta(this.#history, "moved") ?? 0);
    if (getMeta(this.#history, "stale") === "1") this.#remember();
  }

  /** @param deletions whether there are some among the rows */
  move(upto: number, deletions: boolean): void {
    while (this.#moved < upto) {
      const next = Math.min(upto, this.#moved + ROWS_PER_MOVE);
      this.#history
        .transaction((after: number, last: number) => {
          this.#history
            .query(
              `INSERT INTO rooms (name, head, first, first_ts)
               SELECT room, max(seq), min(seq), min(ts) FROM source.log WHERE n > ? AND n <= ? GROUP BY room
               ON CONFLICT (name) DO UPDATE SET
                 head = max(head, excluded.head),
                 first_ts = coalesce(first_ts, excluded.first_ts)`,
            )
            .run(after, last);
          // Sorted, so that each page of a room is touched once. Repeating a move changes nothing.
          this.#history
            .query(
              `INSERT OR IGNORE INTO events
               SELECT r.id, l.seq, l.ts, l.user, l.name, l.id,
                 iif(l.kind = ${KIND.erased}, '', l.text), iif(l.kind = ${KIND.erased}, NULL, l.data), l.kind, l.n
               FROM source.log l JOIN rooms r ON r.name = l.room
               WHERE l.n > ? AND l.n <= ? ORDER BY r.id, l.seq`,
            )
            .run(after, last);
          if (deletions) this.#erase(after, last);
          setMeta(this.#history, "moved", String(last));
        })
        // Deferred: an immediate transaction would lock the attached log as well, and stop its writer.
        .deferred(this.#moved, next);
      this.#moved = next;
      post({ type: "moved", upto: next });
      this.checkpointLongHistory();
    }
  }

  /** Takes away what deletions among these rows are about. Repeating it changes nothing. */
  #erase(after: number, last: number): void {
    const deletions = this.#history
      .query<{ room: number; target: number }, [number, number]>(
        `SELECT r.id AS room, CAST(l.text AS INTEGER) AS target
         FROM source.log l JOIN rooms r ON r.name = l.room
         WHERE l.n > ? AND l.n <= ? AND l.kind = ${KIND.deletion}`,
      )
      .all(after, last);
    const erase = this.#history.query(
      `UPDATE events SET name = '', text = '', data = NULL, kind = ${KIND.erased}
       WHERE room = ? AND seq = ? AND kind <> ${KIND.deletion}`,
    );
    for (const { room, target } of deletions) erase.run(room, target);
    if (deletions.length === 0) return;
    // Also for a next run, should this one be killed.
    setMeta(this.#history, "stale", "1");
    this.#remember();
  }

  #remember(): void {
    this.#stale = { vacuum: true, history: true, log: true };
  }

  /**
   * Removes what is left of deleted content in the history: SQLite overwrites a cell that is deleted, but not the gap that
   * a rebuilt page leaves, in which cells were before (in a trial, copies of 21 of 6,000). Then its write-ahead log.
   */
  cleanHistory(): void {
    const stale = this.#stale;
    if (!stale) return;
    if (stale.vacuum && performance.now() >= this.#vacuumAt)
      this.#vacuum(stale);
    if (!stale.history) return;
    const { busy } = checkpoint(this.#history, "main", "TRUNCATE");
    if (!busy) stale.history = false;
    this.#cleaned();
  }

  #vacuum(stale: { vacuum: boolean; history: boolean }): void {
    const { bytes } = this.#history
      .query(
        "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
      )
      .get() as { bytes: number };
    const began = performance.now();
    try {
      if (bytes <= MAX_VACUUM_BYTES) this.#history.run("VACUUM");
      stale.vacuum = false;
      stale.history = true;
    } catch (error) {
      const { message } = error as Error;
      post({ type: "warning", message: `the history's vacuum: ${message}` });
    }
    const now = performance.now();
    this.#vacuumAt =
      now +
      Math.max(
        (now - began) / VACUUM_SHARE,
        stale.vacuum ? VACUUM_RETRY_MS : 0,
      );
  }

  #cleaned(): void {
    const { vacuum, history, log } = this.#stale!;
    if (vacuum || history || log) return;
    this.#stale = undefined;
    setMeta(this.#history, "stale", "0");
  }

  /** Syncs the history; after it, the log may let go of what was moved. */
  checkpointHistory(): void {
    const moved = this.#moved;
    if (this.#synced >= moved) return;
    const { busy, log, checkpointed } = checkpoint(this.#history, "main");
    if (busy || checkpointed < log) return;
    this.#synced = moved;
    post({ type: "synced", upto: moved });
  }

  checkpointLongHistory(): void {
    if (walBytes(this.options.historyFile) < LONG_WAL_BYTES) return;
    checkpoint(this.#history, "main");
  }

  /**
   * Copies the log's WAL into the log while its writer goes on.
   * @returns how to start it anew, for which it needs a moment without a writer; undefined where that can wait
   */
  checkpointLog(): "RESTART" | "TRUNCATE" | undefined {
    if (this.#stale?.log) return "TRUNCATE";
    if (walBytes(this.options.logFile) < LONG_WAL_BYTES) return undefined;
    const { log: frames } = checkpoint(this.#log, "main");
    const quiet = frames === this.#logFrames;
    this.#logFrames = frames;
    // Cutting the file takes longest, and what is written next must find room on the disk again: only when nobody waits.
    if (quiet) return "TRUNCATE";
    if (frames * this.#logPageBytes < FULL_WAL_BYTES) return undefined;
    // What came meanwhile: the less is left, the shorter is the pause.
    checkpoint(this.#log, "main");
    return "RESTART";
  }

  /** Without a writer the rest is copied too, and the next event starts the WAL anew. */
  checkpointHeldLog(how: "RESTART" | "TRUNCATE"): void {
    const { busy } = checkpoint(this.#log, "main", how);
    if (busy || how === "RESTART" || !this.#stale) return;
    this.#stale.log = false;
    this.#cleaned();
  }

  /** @returns whether there is more to remove */
  retain(now: number): boolean {
    const { retentionMs, retentionEventsPerRoom: most } = this.options;
    if (retentionMs === Infinity && most === Infinity) return false;
    if (now - this.#retainedAt < this.options.moveIntervalMs) return false;
    let budget = EVENTS_PER_PRUNE;
    const cutoff = now - retentionMs;
    const byAge = retentionMs !== Infinity;
    const byCount = most !== Infinity;
    const rooms = this.#history
      .query<{ id: number; head: number; first: number }, number[]>(
        `SELECT id, head, first FROM rooms WHERE ${[
          byAge ? "first_ts < ?" : [],
          byCount ? "head - first >= ?" : [],
        ]
          .flat()
          .join(" OR ")} LIMIT ${ROOMS_PER_PRUNE}`,
      )
      .all(...(byAge ? [cutoff] : []), ...(byCount ? [most] : []));
    this.#history
      .transaction(() => {
        for (const room of rooms) {
          if (budget <= 0) break;
          const upto = Math.min(room.first + budget - 1, room.head);
          const overCount = byCount ? room.head - most : -1;
          const removed = this.#history
            .query(
              "DELETE FROM events WHERE room = ?1 AND seq <= ?2 AND (seq <= ?3 OR ts < ?4)",
            )
            .run(room.id, upto, overCount, byAge ? cutoff : -1);
          budget -= Math.max(1, removed.changes);
          this.#history
            .query(
              `UPDATE rooms SET
                 first = coalesce((SELECT min(seq) FROM events WHERE room = ?1), head + 1),
                 first_ts = (SELECT ts FROM events WHERE room = ?1 ORDER BY seq LIMIT 1)
               WHERE id = ?1`,
            )
            .run(room.id);
        }
      })
      .deferred();
    const more = rooms.length === ROOMS_PER_PRUNE || budget <= 0;
    if (!more) this.#retainedAt = now;
    return more;
  }

  close(): void {
    this.#history.run("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#history.close();
    this.#log.close();
  }
}

function checkpoint(
  db: Database,
  schema: string,
  how: "PASSIVE" | "RESTART" | "TRUNCATE" = "PASSIVE",
): { busy: number; log: number; checkpointed: number } {
  return db.query(`PRAGMA ${schema}.wal_checkpoint(${how})`).get() as {
    busy: number;
    log: number;
    checkpointed: number;
  };
}

function post(message: FromMover): void {
  self.postMessage(message);
}

let mover: Mover | undefined;
let upto = 0;
/** Among the rows up to there are deletions. */
let deletions = false;
let closing = false;
let running = false;
let held: (() => void) | undefined;

function moveAll(mover: Mover): void {
  mover.move(upto, deletions);
  deletions = false;
}

/** One round of background work at a time; messages that come meanwhile only move its goal. */
async function run(): Promise<void> {
  if (running || !mover) return;
  running = true;
  try {
    moveAll(mover);
    while (mover.retain(Date.now()) && !closing) {
      mover.checkpointLongHistory();
      moveAll(mover);
      // Lets messages in: there may be more to move, or it is time to close.
      await Bun.sleep(1);
    }
    mover.checkpointHistory();
    if (!closing) {
      mover.cleanHistory();
      const how = mover.checkpointLog();
      if (how) {
        // A writer that never pauses keeps the end of the WAL out of reach, and it grows without a bound (550 MB in a
        // trial). Almost everything is copied by now, so that the pause is the sync of a small rest.
        const pause = new Promise<void>((resolve) => (held = resolve));
        post({ type: "hold" });
        await pause;
        try {
          mover.checkpointHeldLog(how);
        } finally {
          post({ type: "release" });
        }
      }
    }
  } catch (error) {
    post({ type: "failed", message: (error as Error).message });
  } finally {
    running = false;
  }
  if (!closing) {
    post({ type: "idle" });
    return;
  }
  try {
    mover.close();
  } catch (error) {
    post({ type: "failed", message: (error as Error).message });
  }
  mover = undefined;
  post({ type: "closed" });
}

self.onmessage = (event: MessageEvent<ToMover>) => {
  const message = event.data;
  switch (message.type) {
    case "open":
      mover = new Mover(message.options);
      return;
    case "held":
      held?.();
      held = undefined;
      return;
    case "close":
      closing = true;
      upto = message.upto;
      deletions ||= message.deletions;
      void run();
      return;
    case "move":
      upto = message.upto;
      deletions ||= message.deletions;
      void run();
      return;
    case "checkpoint":
      void run();
  }
};
