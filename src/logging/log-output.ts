import pino from "pino";
import type { LogSink } from "./logger.ts";
import { prettyLine } from "./pretty.ts";

/** What may wait for a reader that does not read. More is left out: a log that nobody reads must not stop a server. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** A sink that can be waited for. */
export interface LogOutput extends LogSink {
  /** Calls `done` when everything is written, or cannot be. */
  flush(done: () => void): void;
  /** Writes what waits, however long that takes. For the very end. */
  flushSync(): void;
}

/** Lines to a file descriptor: as JSON, or made for people where a terminal is at the other end. */
export async function openLogOutput(
  fd: number,
  terminal: boolean,
): Promise<LogOutput> {
  const destination = pino.destination({
    fd,
    sync: false,
    // With 0, its default, its flush waits for nothing.
    minLength: 1,
    maxLength: MAX_WAITING_BYTES,
  });
  // Whoever read it is gone.
  destination.on("error", () => {});
  const shape = terminal ? await prettyLine(!process.env.NO_COLOR) : undefined;
  return {
    write: (line) => void destination.write(shape ? shape(line) : line),
    flush: (done) => destination.flush(() => done()),
    flushSync() {
      try {
        destination.flushSync();
      } catch {
        // Nobody is there to be told.
      }
    },
  };
}
