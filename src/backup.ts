import { Database } from "bun:sqlite";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { setMeta } from "./broker/embedded/schema.ts";
import { ConfigError, loadConfig, parseCommandLine } from "./config/load.ts";
import { FILES } from "./data/folder.ts";

/** `bun run backup DIR [--data DIR]`: a consistent copy of the data folder, also while the server runs. */

const USAGE = `Usage: bun run backup DIR [--data DIR]

Copies the data folder (default ./data) to DIR, which must be empty or new. The server may run meanwhile.
To restore, start the server with --data on a copy of DIR. A restored store has a new epoch: clients are told that
they could not be recovered, and reload.
`;

/**
 * The log first, then the history: what the mover takes from one to the other in between is then in both, never in
 * neither.
 * @throws Error what could not be copied, and why
 */
export function backUp(
  data: string,
  target: string,
): { events: number; rooms: number; bytes: number } {
  const log = join(data, FILES.log);
  const history = join(data, FILES.history);
  for (const file of [log, history])
    if (!existsSync(file))
      throw new Error(
        `${file} does not exist: there is nothing to copy in ${data}`,
      );
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new Error(`${target} is not empty: give an empty or new folder`);
  const partial = `${resolve(target)}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true, mode: 0o700 });
  try {
    copyDatabase(log, join(partial, FILES.log));
    copyDatabase(history, join(partial, FILES.history));
    const sanctions = join(data, FILES.sanctions);
    // A folder of an earlier version has none.
    if (existsSync(sanctions))
      copyDatabase(sanctions, join(partial, FILES.sanctions));
    for (const name of [FILES.sessionKey, FILES.guestCounter])
      copySmall(join(data, name), join(partial, name));
    const counts = finish(partial);
    if (existsSync(target)) rmSync(target, { recursive: true });
    renameSync(partial, target);
    const bytes = readdirSync(target).reduce(
      (sum, name) => sum + statSync(join(target, name)).size,
      0,
    );
    return { ...counts, bytes };
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
}

function copyDatabase(from: string, to: string): void {
  const db = new Database(from, { readwrite: true });
  try {
    db.run("PRAGMA busy_timeout = 10000");
    db.query("VACUUM INTO ?").run(to);
  } finally {
    db.close();
  }
  chmodSync(to, 0o600);
}

function copySmall(from: string, to: string): void {
  if (!existsSync(from)) return;
  copyFileSync(from, to);
  chmodSync(to, 0o600);
}

/** Checks the copies, and marks them: whoever starts on them begins a new epoch. */
function finish(folder: string): { events: number; rooms: number } {
  const log = new Database(join(folder, FILES.log), { readwrite: true });
  const history = new Database(join(folder, FILES.history), {
    readwrite: true,
  });
  try {
    for (const db of [log, history]) {
      const { quick_check: result } = db.query("PRAGMA quick_check").get() as {
        quick_check: string;
      };
      if (result !== "ok") throw new Error(`the copy is damaged: ${result}`);
    }
    setMeta(log, "epoch", "");
    const moved = history
      .query(
        "SELECT coalesce((SELECT value FROM meta WHERE key = 'moved'), '0') AS n",
      )
      .get() as {
      n: string;
    };
    const inHistory = history
      .query("SELECT count(*) AS n FROM events")
      .get() as { n: number };
    const inLog = log
      .query("SELECT count(*) AS n FROM log WHERE n > ?")
      .get(Number(moved.n)) as { n: number };
    const names = new Set<string>();
    for (const { name } of history.query("SELECT name FROM rooms").all() as {
      name: string;
    }[])
      names.add(name);
    for (const { name } of log
      .query("SELECT DISTINCT room AS name FROM log")
      .all() as { name: string }[])
      names.add(name);
    return { events: inHistory.n + inLog.n, rooms: names.size };
  } finally {
    log.close();
    history.close();
  }
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  const target = args[0];
  if (target === "--help" || target === "-h") {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  if (target === undefined || target.startsWith("--")) {
    process.stderr.write(USAGE);
    process.exit(1);
  }
  try {
    const { data } = loadConfig(parseCommandLine(args.slice(1)), process.env);
    const started = performance.now();
    const { events, rooms, bytes } = backUp(data, target);
    console.log(
      `roomcast: copied ${events} events in ${rooms} rooms to ${target} (${(bytes / 1e6).toFixed(1)} MB, ${((performance.now() - started) / 1000).toFixed(1)} s)`,
    );
  } catch (error) {
    console.error(
      `roomcast: backup: ${error instanceof ConfigError ? error.message : (error as Error).message}`,
    );
    process.exit(1);
  }
}
