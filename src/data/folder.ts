import { Database } from "bun:sqlite";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** The files of a data folder. */
export const FILES = {
  lock: "lock.db",
  log: "log.db",
  history: "history.db",
  sanctions: "sanctions.db",
  sessionKey: "session.key",
  guestCounter: "guests",
} as const;

/** The folder cannot be used: one line that says which and why. */
export class DataFolderError extends Error {}

/** A data folder that this process owns until it ends, however it ends. */
export class DataFolder {
  private constructor(
    readonly path: string,
    private readonly lock: Database,
  ) {}

  /** @throws DataFolderError another process owns it, or it cannot be written */
  static open(path: string): DataFolder {
    let lock: Database | undefined;
    try {
      // What people say is nobody else's to read.
      mkdirSync(path, { recursive: true, mode: 0o700 });
      lock = new Database(join(path, FILES.lock), {
        create: true,
        readwrite: true,
      });
      // The operating system takes this lock back when the process ends, also after kill -9: no stale lock files.
      lock.run("PRAGMA busy_timeout = 0");
      lock.run("BEGIN EXCLUSIVE");
    } catch (error) {
      lock?.close();
      const busy = (error as { code?: string }).code === "SQLITE_BUSY";
      throw new DataFolderError(
        busy
          ? `the data folder ${path} is in use by another roomcast; give this one its own with --data`
          : `the data folder ${path} cannot be used: ${(error as Error).message}`,
      );
    }
    return new DataFolder(path, lock);
  }

  file(name: keyof typeof FILES): string {
    return join(this.path, FILES[name]);
  }

  /** The key that signs guest sessions: made at the first start, readable by the owner only. */
  sessionKey(): Buffer {
    const file = this.file("sessionKey");
    if (existsSync(file)) {
      const key = readFileSync(file);
      if (key.length >= 32) return key;
    }
    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(32)));
    replaceFile(file, key);
    return key;
  }

  /** @returns the number of the next automatic guest name */
  readGuestCounter(): number {
    const file = this.file("guestCounter");
    if (!existsSync(file)) return 0;
    const value = Number(readFileSync(file, "utf8").trim());
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new DataFolderError(
      `${file} should hold the number of the next guest; it holds something else`,
    );
  }

  writeGuestCounter(next: number): void {
    replaceFile(this.file("guestCounter"), `${next}\n`);
  }

  close(): void {
    this.lock.close();
  }
}

/** Whole or not at all, also when the process is killed in between. */
function replaceFile(file: string, content: string | Uint8Array): void {
  const fresh = `${file}.new`;
  writeFileSync(fresh, content, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, file);
}
