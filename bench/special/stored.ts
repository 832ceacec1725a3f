import { Database } from "bun:sqlite";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  HISTORY_SCHEMA,
  migrate,
  setMeta,
} from "../../src/broker/embedded/schema.ts";
import { FILES } from "../../src/data/folder.ts";
import type { Case } from "../run/case.ts";

const ROOMS_PER_TRANSACTION = 10;
const DAY_MS = 86_400_000;
/** The events lie evenly over this long. */
const AGE_MS = 30 * DAY_MS;

/**
 * A data folder that holds a case's stored events, over the rooms of its first group. Filled once (the server's own
 * door would take minutes: this writes its files, by its schema) and kept in the temporary folder for later runs, in
 * which retention keeps it at its size.
 */
export async function storedFolder(
  { groups, stored_events, text_bytes }: Case,
  tell: (what: string) => void,
): Promise<string> {
  const { rooms } = groups[0]!;
  const folder = join(
    tmpdir(),
    `bench-stored-${stored_events}-${rooms}-v${HISTORY_SCHEMA.length}`,
  );
  const done = join(folder, "filled");
  if (existsSync(done)) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await fill(join(folder, FILES.history), {
    rooms,
    per_room: Math.floor(stored_events / rooms),
    text_bytes,
    tell,
  });
  writeFileSync(done, "");
  return folder;
}

/** Name of room `index` of a filled folder: the load generator's, for the prefix `stored-`. */
export const storedRoom = (index: number): string =>
  `stored-0-${String(index).padStart(5, "0")}`;

interface Filling {
  rooms: number;
  per_room: number;
  text_bytes: number;
  tell: (what: string) => void;
}

/** Writes a history file with `per_room` events in each room. The log stays empty: all is moved, as after a stop. */
export async function fill(
  file: string,
  { rooms, per_room, text_bytes, tell }: Filling,
): Promise<void> {
  const db = new Database(file, { create: true, readwrite: true });
  try {
    db.run("PRAGMA journal_mode = WAL");
    // A file that a crash spoils is filled again.
    db.run("PRAGMA synchronous = OFF");
    migrate(db, HISTORY_SCHEMA, file);
    const first_ts = Date.now() - AGE_MS;
    const step = AGE_MS / Math.max(1, per_room);
    const room = db.prepare(
      "INSERT INTO rooms (id, name, head, first, first_ts) VALUES (?, ?, ?, 1, ?)",
    );
    const events = db.prepare(
      `WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?2)
       INSERT INTO events (room, seq, ts, user, name, id, text, data) SELECT ?1, seq, ?3 + CAST(seq * ?4 AS INTEGER), 'guest:0123456789abcdef', 'u000001', NULL, ?5, NULL FROM n`,
    );
    const text = "stored ".padEnd(text_bytes, "x");
    for (let at = 0; at < rooms; at += ROOMS_PER_TRANSACTION) {
      db.transaction(() => {
        for (let i = at; i < Math.min(rooms, at + ROOMS_PER_TRANSACTION); i++) {
          room.run(i + 1, storedRoom(i), per_room, first_ts);
          events.run(i + 1, per_room, first_ts, step, text);
        }
      }).immediate();
      tell(
        `filling: ${((at + ROOMS_PER_TRANSACTION) * per_room).toLocaleString("en-US")} events`,
      );
      await Bun.sleep(0);
    }
    db.transaction(() =>
      setMeta(db, "moved", String(rooms * per_room)),
    ).immediate();
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
  // The disk must be quiet again before a server is measured on it.
  const handle = openSync(file, "r+");
  fsyncSync(handle);
  closeSync(handle);
}
