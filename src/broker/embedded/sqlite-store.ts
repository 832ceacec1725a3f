import { SQLiteError } from "bun:sqlite";
import { Deque } from "../../collections/deque.ts";
import { programUrl } from "../../data/program-url.ts";
import type { Page, Range } from "../broker.ts";
import { DedupeKeys } from "./dedupe.ts";
import { Deletions } from "./deletions.ts";
import { History } from "./history.ts";
import { Log } from "./log.ts";
import type { FromMover, ToMover } from "./mover.ts";
import {
  StoreError,
  type NewEvent,
  type Store,
  type StoredKey,
} from "./store.ts";
import { RoomReader } from "./room-reader.ts";
import { Tail } from "./tail.ts";
import { LONG_WAL_BYTES, walBytes } from "./wal.ts";

export interface SqliteStoreOptions {
  readonly logFile: string;
  readonly historyFile: string;
  readonly durability: "normal" | "full";
  readonly dedupeWindowMs: number;
  readonly dedupeMaxKeys: number;
  /** Infinity for none. */
  readonly retentionMs: number;
  readonly retentionEventsPerRoom: number;
  readonly moveIntervalMs: number;
  /** Tells of background failures, such as a full disk. At most one call per second. */
  readonly onFailure: (message: string) => void;
}

/** How the store asks its broker for a moment without commits. */
export interface CommitGate {
  hold(): void;
  resume(): void;
}

const SECOND_MS = 1000;
const NONE: readonly number[] = [];
/** A move of few rows rewrites many pages: wait for this many rows, or for the interval. */
const MOVE_ROWS = 200_000;

/**
 * Events in two files: a log in arrival order, which this thread appends to, and a history clustered by room, which the
 * mover fills from it. Reads join both; the dedupe keys point into the log.
 */
export class SqliteStore implements Store {
  readonly #history: History;
  readonly #log: Log;
  readonly #tail = new Tail();
  readonly #deletions = new Deletions();
  readonly #reader: RoomReader;
  readonly #keys: DedupeKeys;
  /** When which row was written, a pair per second: tells which keys are older than the window. */
  readonly #times = new Deque<{ ts: number; row: number }>();
  #mover: Worker;
  /** The mover was promised that nothing writes to the log. */
  #held = false;
  #closing = false;
  /** The mover is gone, and none has taken its place yet. */
  #ended = false;
  readonly #ticker: Timer;
  #gate: CommitGate | undefined;
  #moving = false;
  #movedAt = performance.now();
  #synced = 0;
  #failedAt = -Infinity;
  /** What the mover did last failed; and what it does now. */
  #failing = false;
  #failed = false;
  #closed: (() => void) | undefined;

  constructor(private readonly options: SqliteStoreOptions) {
    // The history first: the log must know how far it reaches.
    const { history, moved } = opening(options.historyFile, () => {
      const history = new History(options.historyFile);
      return { history, moved: history.moved };
    });
    this.#history = history;
    this.#keys = new DedupeKeys(options.dedupeMaxKeys);
    this.#log = opening(options.logFile, () => {
      const log = new Log(options.logFile, options.durability, moved);
      for (const { room, seq, n, target } of log.rowsAfter(moved)) {
        this.#tail.add(room, seq, n);
        if (target !== null) this.#deletions.add(room, target, n);
      }
      const since = Date.now() - options.dedupeWindowMs;
      for (const key of log.keysSince(since)) {
        this.#keys.add(this.#keys.hash(key.room, key.user, key.id), key.n);
        this.#remember(key.ts, key.n);
      }
      return log;
    });
    this.#reader = new RoomReader(
      this.#log,
      this.#history,
      this.#tail,
      this.#deletions,
    );
    this.#mover = this.#startMover();
    this.#ticker = setInterval(
      () => this.#tick(),
      Math.min(SECOND_MS, options.moveIntervalMs),
    );
    this.#ticker.unref();
  }

  /** Without a gate the log's WAL is never cut while events keep coming. */
  set gate(gate: CommitGate) {
    this.#gate = gate;
  }

  get epoch(): string {
    return this.#log.epoch;
  }

  get failing(): boolean {
    return this.#failing || this.#ended;
  }

  get backlog(): number {
    return this.#tail.count;
  }

  head(room: string): number {
    const tail = this.#tail.room(room);
    if (tail) return tail.first + tail.rows.length - 1;
    return reading(() => this.#history.room(room)?.head ?? 0);
  }

  hashKey(room: string, user: string, id: string): number {
    return this.#keys.hash(room, user, id);
  }

  append(batch: readonly NewEvent[]): void {
    let row = this.#log.append(batch, this.#removable(), this.#erased(batch));
    this.#remember(batch[0]!.ts, row);
    for (const event of batch) {
      this.#tail.add(event.room, event.seq, row);
      if (event.keyHash !== undefined) this.#keys.add(event.keyHash, row);
      if (event.target > 0) this.#deletions.add(event.room, event.target, row);
      row++;
    }
    // Not at once after another move: that one may have failed.
    if (
      this.#tail.count >= MOVE_ROWS &&
      performance.now() - this.#movedAt >= SECOND_MS
    )
      this.#move();
  }

  probe(): void {
    this.#log.probe();
  }

  find(
    keyHash: number,
    room: string,
    user: string,
    id: string,
    now: number,
  ): StoredKey | undefined {
    return this.#keys.find(keyHash, (n) => {
      const row = reading(() => this.#log.row(n));
      if (!row || row.room !== room || row.user !== user || row.id !== id)
        return undefined;
      if (row.ts < now - this.options.dedupeWindowMs) return undefined;
      // Never longer than retention: a key whose event is gone is a new key.
      if (row.seq <= this.head(room) - this.options.retentionEventsPerRoom)
        return undefined;
      return { seq: row.seq, ts: row.ts };
    });
  }

  read(room: string, range: Range): Page {
    const floor = this.head(room) - this.options.retentionEventsPerRoom;
    const after = Math.max(range.after, floor);
    const oldestTs = Date.now() - this.options.retentionMs;
    return reading(() =>
      this.#reader.page(room, { ...range, after }, oldestTs),
    );
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#closing = true;
    if (!this.#ended)
      await new Promise<void>((resolve) => {
        this.#closed = resolve;
        this.#tell({
          type: "close",
          upto: this.#log.last,
          deletions: this.#deletions.any,
        });
      });
    this.#mover.terminate();
    this.#history.close();
    this.#log.close();
  }

  /**
   * Log rows of the messages that a batch deletes.
   * @throws StoreError
   */
  #erased(batch: readonly NewEvent[]): readonly number[] {
    let rows: number[] | undefined;
    for (const event of batch) {
      if (event.target === 0) continue;
      const row = this.#rowOf(event.room, event.target);
      if (row !== undefined) (rows ??= []).push(row);
    }
    return rows ?? NONE;
  }

  /**
   * The log row of a stored event, as long as the log has it.
   * @throws StoreError
   */
  #rowOf(room: string, seq: number): number | undefined {
    const tail = this.#tail.room(room);
    if (tail && seq >= tail.first) return tail.rows[seq - tail.first];
    const row = reading(() => this.#history.logRow(room, seq));
    // A history of an earlier version does not know.
    return row === 0 ? reading(() => this.#log.find(room, seq)) : row;
  }

  /** Log rows up to here are in the synced history, and no known key points at them. */
  #removable(): number {
    return Math.min(this.#synced, this.#keys.oldestRow - 1);
  }

  #remember(ts: number, row: number): void {
    const times = this.#times;
    if (times.length === 0 || ts - times.at(times.end - 1).ts >= SECOND_MS)
      times.push({ ts, row });
  }

  #tick(): void {
    // A pair bounds all rows before it: once it is older than the window, they are.
    const old = Date.now() - this.options.dedupeWindowMs;
    const times = this.#times;
    while (times.length > 0 && times.at(times.start).ts < old) {
      const { row } = times.shift()!;
      while (this.#keys.oldestRow < row) this.#keys.dropOldest();
    }
    if (this.#held) return;
    try {
      this.#log.removeSome(this.#removable());
    } catch (error) {
      this.#fail((error as Error).message);
    }
    if (!this.#moving && walBytes(this.options.logFile) >= LONG_WAL_BYTES) {
      this.#moving = true;
      this.#tell({ type: "checkpoint" });
    }
    if (performance.now() - this.#movedAt >= this.options.moveIntervalMs)
      this.#move();
  }

  #startMover(): Worker {
    const mover = new Worker(programUrl("broker/embedded/mover.ts"));
    mover.onmessage = (event: MessageEvent<FromMover>) =>
      this.#onMover(event.data);
    mover.onerror = (event) => this.#onMoverEnd(mover, event.message);
    mover.addEventListener("close", () =>
      this.#onMoverEnd(mover, "the mover ended"),
    );
    const { options } = this;
    const open: ToMover = {
      type: "open",
      options: {
        logFile: options.logFile,
        historyFile: options.historyFile,
        retentionMs: options.retentionMs,
        retentionEventsPerRoom: options.retentionEventsPerRoom,
        moveIntervalMs: options.moveIntervalMs,
      },
    };
    mover.postMessage(open);
    return mover;
  }

  /** Without a mover the server still takes and delivers events; another one is tried after a second. */
  #onMoverEnd(mover: Worker, message: string): void {
    if (mover !== this.#mover || this.#ended) return;
    this.#ended = true;
    this.#release();
    this.#closed?.();
    if (this.#closing) return;
    this.#fail(message);
    setTimeout(() => {
      if (this.#closing) return;
      this.#ended = false;
      this.#moving = false;
      this.#mover = this.#startMover();
    }, SECOND_MS);
  }

  #release(): void {
    this.#held = false;
    this.#gate?.resume();
  }

  #move(): void {
    if (this.#moving) return;
    this.#moving = true;
    this.#tell({
      type: "move",
      upto: this.#log.last,
      deletions: this.#deletions.any,
    });
  }

  #tell(message: ToMover): void {
    this.#mover.postMessage(message);
  }

  #onMover(message: FromMover): void {
    switch (message.type) {
      case "moved":
        this.#tail.moved(message.upto);
        this.#deletions.moved(message.upto);
        return;
      case "synced":
        this.#synced = message.upto;
        return;
      case "hold":
        this.#held = true;
        this.#gate?.hold();
        this.#tell({ type: "held" });
        return;
      case "release":
        this.#release();
        return;
      case "idle":
        this.#failing = this.#failed;
        this.#failed = false;
        this.#moving = false;
        this.#movedAt = performance.now();
        return;
      case "failed":
        this.#failing = this.#failed = true;
        this.#fail(message.message);
        return;
      case "warning":
        this.#fail(message.message);
        return;
      case "closed":
        this.#closed?.();
    }
  }

  #fail(message: string): void {
    const now = performance.now();
    if (now - this.#failedAt < 1000) return;
    this.#failedAt = now;
    this.options.onFailure(message);
  }
}

/** @throws Error naming the file that SQLite could not use */
function opening<T>(file: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
    throw new Error(
      `${file} cannot be used: ${error.message}; if it is damaged, start on a copy that \`bun run backup\` made`,
    );
  }
}

/** @throws StoreError what SQLite could not read */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SQLiteError)
      throw new StoreError(`the store cannot be read: ${error.message}`);
    throw error;
  }
}
