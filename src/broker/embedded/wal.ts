import { statSync } from "node:fs";

/** From here on a write-ahead log is worth a checkpoint. */
export const LONG_WAL_BYTES = 32 * 1024 * 1024;

/** From here on the log's is worth a moment without commits, so that it starts anew. */
export const FULL_WAL_BYTES = 128 * 1024 * 1024;

/** @returns bytes of a database's write-ahead log; 0 where it has none */
export function walBytes(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
