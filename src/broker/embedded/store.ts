import type { Page, Range, RoomEvent } from "../broker.ts";

/** What the embedded broker keeps events in: SQLite files, or memory. Everything is synchronous. */
export interface Store {
  readonly epoch: string;

  /**
   * @returns the seq of the room's last event, also where that event was trimmed; 0 in a room never used
   * @throws StoreError
   */
  head(room: string): number;

  /**
   * Stores a batch as one transaction: all of it or nothing. An event with a `target` takes the content of that one away,
   * which the store holds, in the same transaction.
   * @throws StoreError nothing of the batch is stored
   */
  append(batch: readonly NewEvent[]): void;

  /**
   * Writes what changes nothing, to see whether a batch would be taken.
   * @throws StoreError
   */
  probe(): void;

  /** @throws StoreError */
  read(room: string, range: Range): Page;

  /** The hash of an idempotency key, made once for each message. */
  hashKey(room: string, user: string, id: string): number;

  /**
   * Finds a stored event by its idempotency key, within the dedupe window. `now` in ms since 1970.
   * @throws StoreError
   */
  find(
    keyHash: number,
    room: string,
    user: string,
    id: string,
    now: number,
  ): StoredKey | undefined;

  /** Whether background work fails: events are still taken, but not for ever. */
  readonly failing: boolean;

  /** Events stored but not yet where they stay; grows when background work falls behind. */
  readonly backlog: number;

  close(): Promise<void>;
}

export interface NewEvent extends RoomEvent {
  readonly dataJson: string | undefined;
  /** Where there is an `id`. */
  readonly keyHash: number | undefined;
}

export interface StoredKey {
  readonly seq: number;
  readonly ts: number;
}

/** The store could not read, or refused a batch: the disk is full, say. Then nothing of the batch was stored. */
export class StoreError extends Error {}
