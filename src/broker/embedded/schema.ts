import type { Database } from "bun:sqlite";

/** A database's schema as the steps that lead to it; `PRAGMA user_version` counts the steps that were taken. */
export type Schema = readonly string[];

/**
 * Every event in arrival order. `n` numbers them over all rooms; the room is its name, so that the log stands on its
 * own and a new room costs nothing.
 */
export const LOG_SCHEMA: Schema = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE log (
     n INTEGER PRIMARY KEY,
     room TEXT NOT NULL,
     seq INTEGER NOT NULL,
     ts INTEGER NOT NULL,
     user TEXT NOT NULL,
     name TEXT NOT NULL,
     id TEXT,
     text TEXT NOT NULL,
     data TEXT
   );`,
  `ALTER TABLE log ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;`,
];

/**
 * What a row is: a message, one whose content was deleted, or the event that tells of a deletion, with the seq of the
 * deleted message as its text. The first two take no byte of a row, so that a message can be erased where it lies.
 */
export const KIND = { message: 0, erased: 1, deletion: 2 } as const;

/**
 * The same events clustered by room. `head` is the room's last seq and outlives its events; `first` is the oldest seq
 * that is left (`head + 1` where none is), `first_ts` its time.
 */
export const HISTORY_SCHEMA: Schema = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE rooms (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     head INTEGER NOT NULL,
     first INTEGER NOT NULL,
     first_ts INTEGER
   );
   CREATE TABLE events (
     room INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     ts INTEGER NOT NULL,
     user TEXT NOT NULL,
     name TEXT NOT NULL,
     id TEXT,
     text TEXT NOT NULL,
     data TEXT,
     PRIMARY KEY (room, seq)
   ) WITHOUT ROWID;`,
  // Retention by age looks for the rooms with the oldest events.
  `CREATE INDEX rooms_first_ts ON rooms (first_ts) WHERE first_ts IS NOT NULL;`,
  // `n` is the row of the log that an event came from, so that a deletion finds that too; 0: not known.
  `ALTER TABLE events ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE events ADD COLUMN n INTEGER NOT NULL DEFAULT 0;`,
];

/**
 * Takes the steps that are missing, each in a transaction of its own.
 * @throws Error the file is newer than this program
 */
export function migrate(db: Database, schema: Schema, file: string): void {
  const { user_version: version } = db.query("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version > schema.length)
    throw new Error(
      `${file} has schema version ${version}, this program knows ${schema.length}: it was written by a newer roomcast`,
    );
  for (let step = version; step < schema.length; step++)
    db.transaction(() => {
      db.run(schema[step]!);
      db.run(`PRAGMA user_version = ${step + 1}`);
    }).immediate();
}

export function getMeta(db: Database, key: string): string | undefined {
  const row = db.query("SELECT value FROM meta WHERE key = ?").get(key) as {
    value: string;
  } | null;
  return row?.value;
}

export function setMeta(db: Database, key: string, value: string): void {
  db.query("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(key, value);
}
