import { Deque } from "../../collections/deque.ts";
import type { Data } from "../../protocol/messages.ts";
import type { Page, Range } from "../broker.ts";
import { DedupeKeys } from "./dedupe.ts";
import { newEpoch } from "./log.ts";
import type { NewEvent, Store, StoredKey } from "./store.ts";

export interface MemoryStoreOptions {
  readonly maxBytes: number;
  readonly dedupeWindowMs: number;
  readonly dedupeMaxKeys: number;
  /** Infinity for none. */
  readonly retentionMs: number;
  readonly retentionEventsPerRoom: number;
}

/** What an event takes beside its strings, about. */
const EVENT_BYTES = 400;
/** A place in the log whose event is gone. It counts, or places would pile up behind one old event. */
const NOTHING_BYTES = 16;
/** Rooms whose head is remembered, whether or not they still hold events. */
const MAX_ROOMS = 1_000_000;

interface Stored {
  readonly event: NewEvent;
  /** Position in the log. */
  readonly row: number;
}

interface MemoryRoom {
  head: number;
  readonly events: Deque<Stored>;
}

/** Events in memory only. Every start is a new epoch; the oldest events make room for new ones. */
export class MemoryStore implements Store {
  readonly epoch = newEpoch();
  readonly failing = false;
  readonly backlog = 0;
  readonly #rooms = new Map<string, MemoryRoom>();
  /** All events in arrival order, by row number; null where the room's count removed the event already. */
  readonly #log = new Deque<NewEvent | null>();
  readonly #keys: DedupeKeys;
  #bytes = 0;
  /** A room that was forgotten starts again above every forgotten head: no position is ever given twice. */
  #forgottenHead = 0;

  constructor(private readonly options: MemoryStoreOptions) {
    this.#keys = new DedupeKeys(options.dedupeMaxKeys);
  }

  head(room: string): number {
    return this.#rooms.get(room)?.head ?? this.#forgottenHead;
  }

  append(batch: readonly NewEvent[]): void {
    for (const given of batch) {
      // As text: an object of many small values takes many times its JSON.
      const event =
        given.data === undefined ? given : { ...given, data: undefined };
      let room = this.#rooms.get(event.room);
      if (!room) {
        if (this.#rooms.size >= MAX_ROOMS) this.#forgetRoom();
        room = { head: 0, events: new Deque() };
        this.#rooms.set(event.room, room);
      }
      room.head = event.seq;
      room.events.push({ event, row: this.#log.end });
      if (event.keyHash !== undefined)
        this.#keys.add(event.keyHash, this.#log.end);
      this.#log.push(event);
      this.#bytes += size(event);
      if (event.target > 0) this.#erase(room.events, event.target);
      if (room.events.length > this.options.retentionEventsPerRoom)
        this.#trimRoom(room.events);
    }
    this.#trim(Date.now());
  }

  hashKey(room: string, user: string, id: string): number {
    return this.#keys.hash(room, user, id);
  }

  find(
    keyHash: number,
    room: string,
    user: string,
    id: string,
    now: number,
  ): StoredKey | undefined {
    this.#trim(now);
    return this.#keys.find(keyHash, (row) => {
      const event = row >= this.#log.start ? this.#log.at(row) : null;
      if (
        !event ||
        event.room !== room ||
        event.user !== user ||
        event.id !== id
      )
        return undefined;
      if (event.ts < now - this.options.dedupeWindowMs) return undefined;
      return { seq: event.seq, ts: event.ts };
    });
  }

  read(name: string, range: Range): Page {
    this.#trim(Date.now());
    const events = this.#rooms.get(name)?.events;
    const found: NewEvent[] = [];
    if (!events || events.length === 0) return { events: found, more: false };
    const firstSeq = events.at(events.start).event.seq;
    const low = Math.max(range.after + 1, firstSeq);
    const high = Math.min(range.upto, firstSeq + events.length - 1);
    const step = range.take === "oldest" ? 1 : -1;
    let bytes = 0;
    let more = false;
    for (
      let seq = step === 1 ? low : high;
      seq >= low && seq <= high;
      seq += step
    ) {
      if (
        found.length === range.limit ||
        (found.length > 0 && bytes >= range.bytes)
      ) {
        more = true;
        break;
      }
      const { event } = events.at(events.start + seq - firstSeq);
      bytes += event.text.length + (event.dataJson?.length ?? 0);
      found.push(
        event.dataJson === undefined
          ? event
          : { ...event, data: JSON.parse(event.dataJson) as Data },
      );
    }
    if (step === -1) found.reverse();
    return { events: found, more };
  }

  probe(): void {
    // Memory takes everything.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A room's oldest event is also the oldest of it in the log: both shrink from the same end. */
  #trim(now: number): void {
    const cutoff = now - this.options.retentionMs;
    const oldKey = now - this.options.dedupeWindowMs;
    while (this.#log.length > 0) {
      const event = this.#log.at(this.#log.start);
      if (event && this.#bytes <= this.options.maxBytes && event.ts >= cutoff)
        break;
      const row = this.#log.start;
      this.#log.shift();
      if (this.#keys.oldestRow <= row) this.#keys.dropOldest();
      if (!event) {
        this.#bytes -= NOTHING_BYTES;
        continue;
      }
      this.#rooms.get(event.room)?.events.shift();
      this.#bytes -= size(event);
    }
    while (this.#keys.size > 0) {
      const oldest = this.#log.at(this.#keys.oldestRow);
      if (oldest && oldest.ts >= oldKey) break;
      this.#keys.dropOldest();
    }
  }

  /** What stays is what its idempotency key needs. */
  #erase(events: Deque<Stored>, target: number): void {
    const at = events.start + target - events.at(events.start).event.seq;
    // It may have left to make room.
    if (at < events.start) return;
    const { event, row } = events.at(at);
    const erased: NewEvent = {
      ...event,
      from: "",
      text: "",
      dataJson: undefined,
      dataBytes: 0,
      target,
    };
    this.#bytes += size(erased) - size(event);
    events.set(at, { event: erased, row });
    this.#log.set(row, erased);
  }

  #trimRoom(events: Deque<Stored>): void {
    const { event, row } = events.shift()!;
    this.#bytes += NOTHING_BYTES - size(event);
    this.#log.set(row, null);
  }

  #forgetRoom(): void {
    const [name, room] = this.#rooms.entries().next().value!;
    this.#forgottenHead = Math.max(this.#forgottenHead, room.head);
    while (room.events.length > 0) this.#trimRoom(room.events);
    this.#rooms.delete(name);
  }
}

function size(event: NewEvent): number {
  return (
    EVENT_BYTES +
    event.text.length +
    event.room.length +
    event.user.length +
    event.from.length +
    (event.id?.length ?? 0) +
    2 * (event.dataJson?.length ?? 0)
  );
}
