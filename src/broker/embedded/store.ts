import type { Page, Range, RoomEvent } from "../broker.ts";

/** What the embedded broker keeps events in: SQLite files, or memory. Everything is synchronous. */
export interface Store {
  readonly epoch: string;

  /** @returns the seq of the room's last event, also where that event was trimmed; 0 in a room never used */
  head(room: string): number;

  /**
   * Stores a batch as one transaction: all of it or nothing.
   * @throws StoreError nothing of the batch is stored
   */
  append(batch: readonly NewEvent[]): void;

  read(room: string, range: Range): Page;

  /** Finds a stored event by its idempotency key, within the dedupe window. `now` in ms since 1970. */
  find(
    room: string,
    user: string,
    id: string,
    now: number,
  ): StoredKey | undefined;

  /** Events stored but not yet where they stay; grows when background work falls behind. */
  readonly backlog: number;

  close(): Promise<void>;
}

export interface NewEvent extends RoomEvent {
  readonly dataJson: string | undefined;
}

export interface StoredKey {
  readonly seq: number;
  readonly ts: number;
}

/** The store refused a batch: the disk is full, say. Nothing of it was stored. */
export class StoreError extends Error {}
