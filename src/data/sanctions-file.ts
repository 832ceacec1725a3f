import { Database, type Statement } from "bun:sqlite";

/** What a user may not do: be here, or send. */
export type SanctionKind = "ban" | "mute";

export interface Sanction {
  readonly kind: SanctionKind;
  /** User id. */
  readonly user: string;
  /** "": everywhere. */
  readonly room: string;
  /** Ms since 1970; FOR_GOOD without an end. */
  readonly until: number;
}

export const FOR_GOOD = Number.MAX_SAFE_INTEGER;

/** Where sanctions outlive the process. */
export interface SanctionStore {
  all(): Sanction[];
  /** In the place of one of the same kind, user and room. @throws Error it could not be written */
  save(sanction: Sanction): void;
  /** @throws Error */
  remove(sanction: Omit<Sanction, "until">): void;
  /** Those that have ended by then, ms since 1970. @throws Error */
  removeEnded(now: number): void;
  close(): void;
}

/** Nowhere: with `--history memory` everything ends with the process. */
export const UNKEPT: SanctionStore = {
  all: () => [],
  save: () => {},
  remove: () => {},
  removeEnded: () => {},
  close: () => {},
};

/** A file of the data folder. Written now and then, each time synced. */
export class SanctionsFile implements SanctionStore {
  readonly #db: Database;
  readonly #save: Statement;
  readonly #remove: Statement;

  constructor(file: string) {
    this.#db = new Database(file, { create: true, readwrite: true });
    this.#db.run("PRAGMA busy_timeout = 1000");
    this.#db.run("PRAGMA journal_mode = WAL");
    this.#db.run("PRAGMA synchronous = FULL");
    this.#db.run(
      `CREATE TABLE IF NOT EXISTS sanctions (
         kind TEXT NOT NULL,
         user TEXT NOT NULL,
         room TEXT NOT NULL,
         until INTEGER NOT NULL,
         PRIMARY KEY (kind, user, room)
       ) WITHOUT ROWID`,
    );
    this.#save = this.#db.prepare(
      "INSERT OR REPLACE INTO sanctions VALUES (?, ?, ?, ?)",
    );
    this.#remove = this.#db.prepare(
      "DELETE FROM sanctions WHERE kind = ? AND user = ? AND room = ?",
    );
  }

  all(): Sanction[] {
    return this.#db
      .query("SELECT kind, user, room, until FROM sanctions")
      .all() as Sanction[];
  }

  save({ kind, user, room, until }: Sanction): void {
    this.#save.run(kind, user, room, until);
  }

  remove({ kind, user, room }: Omit<Sanction, "until">): void {
    this.#remove.run(kind, user, room);
  }

  removeEnded(now: number): void {
    this.#db.run("DELETE FROM sanctions WHERE until <= ?", [now]);
  }

  close(): void {
    this.#db.close();
  }
}
