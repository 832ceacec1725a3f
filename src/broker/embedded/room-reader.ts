import type { Data } from "../../protocol/messages.ts";
import type { Page, Range, RoomEvent } from "../broker.ts";
import type { Deletions } from "./deletions.ts";
import type { History } from "./history.ts";
import type { Log, LogRow } from "./log.ts";
import { KIND } from "./schema.ts";
import type { Tail } from "./tail.ts";

const READ_CHUNK = 64;

/** Reads a room's events from history and log as one: what the history lacks is found through the tail. */
export class RoomReader {
  constructor(
    private readonly log: Log,
    private readonly history: History,
    private readonly tail: Tail,
    private readonly deletions: Deletions,
  ) {}

  /**
   * @param cutoff ms since 1970; older events are left out, -Infinity for none
   * @throws SQLiteError
   */
  page(room: string, range: Range, cutoff: number): Page {
    const events: RoomEvent[] = [];
    let bytes = 0;
    let more = false;
    const deleted = this.deletions.room(room);
    const oldest = range.take === "oldest";
    for (const row of this.#rows(
      room,
      range.after,
      range.upto,
      cutoff,
      oldest,
    )) {
      if (
        events.length === range.limit ||
        (events.length > 0 && bytes >= range.bytes)
      ) {
        more = true;
        break;
      }
      const event = toEvent(room, row, deleted?.has(row.seq) ?? false);
      bytes += event.text.length + event.dataBytes;
      events.push(event);
    }
    if (!oldest) events.reverse();
    return { events, more };
  }

  /** Rows of a room in walking order, from history and log as one. */
  *#rows(
    room: string,
    after: number,
    upto: number,
    cutoff: number,
    oldest: boolean,
  ): Generator<Omit<LogRow, "room">> {
    const tail = this.tail.room(room);
    const split = tail ? tail.first - 1 : upto;
    if (oldest) {
      yield* this.#historyRows(
        room,
        after,
        Math.min(upto, split),
        cutoff,
        true,
      );
      if (tail)
        yield* this.#tailRows(tail, Math.max(after, split), upto, cutoff, 1);
    } else {
      if (tail)
        yield* this.#tailRows(tail, Math.max(after, split), upto, cutoff, -1);
      yield* this.#historyRows(
        room,
        after,
        Math.min(upto, split),
        cutoff,
        false,
      );
    }
  }

  *#historyRows(
    name: string,
    after: number,
    upto: number,
    cutoff: number,
    oldest: boolean,
  ): Generator<Omit<LogRow, "room">> {
    const room = after < upto ? this.history.room(name) : undefined;
    if (!room) return;
    const ts = cutoff === -Infinity ? 0 : cutoff;
    for (;;) {
      const rows = this.history.read(
        room.id,
        after,
        upto,
        ts,
        oldest ? "oldest" : "latest",
        READ_CHUNK,
      );
      yield* rows;
      if (rows.length < READ_CHUNK) return;
      const last = rows[rows.length - 1]!.seq;
      if (oldest) after = last;
      else upto = last - 1;
    }
  }

  *#tailRows(
    tail: { first: number; rows: readonly number[] },
    after: number,
    upto: number,
    cutoff: number,
    step: 1 | -1,
  ): Generator<LogRow> {
    const low = after + 1 - tail.first;
    const high = Math.min(upto - tail.first, tail.rows.length - 1);
    for (let i = step === 1 ? low : high; i >= low && i <= high; i += step) {
      const row = this.log.row(tail.rows[i]!);
      if (row && row.ts >= cutoff) yield row;
    }
  }
}

function toEvent(
  room: string,
  row: Omit<LogRow, "room">,
  deleted: boolean,
): RoomEvent {
  const { seq, ts, user, name: from, kind } = row;
  const id = row.id ?? undefined;
  const event = { room, seq, prev: seq - 1, user, from, ts, id };
  if (deleted || kind !== KIND.message)
    return {
      ...event,
      text: "",
      data: undefined,
      dataBytes: 0,
      target: kind === KIND.deletion ? Number(row.text) : seq,
    };
  return {
    ...event,
    text: row.text,
    data: row.data === null ? undefined : (JSON.parse(row.data) as Data),
    dataBytes: row.data?.length ?? 0,
    target: 0,
  };
}
