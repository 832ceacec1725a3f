import { describe, expect, test } from "bun:test";
import type { Link } from "../../../src/broker/nats/link.ts";
import type { StreamReader, Whose } from "../../../src/broker/nats/reader.ts";
import {
  decode,
  encodeBody,
  type Stored,
} from "../../../src/broker/nats/stored.ts";
import { Subjects } from "../../../src/broker/nats/subjects.ts";
import { Tombstones, type Note } from "../../../src/broker/nats/tombstones.ts";
import { draft } from "../contract.ts";

const PLACE = new Subjects("t", 1).place("a");

const message = (seq: number): Stored => {
  const body = encodeBody(draft("a", `m${seq}`), `g.${seq}`);
  return { seq, prev: 0, ts: 1000 + seq, body, bytes: body.length };
};

const wanted = (seq: number, next?: number): Note => ({
  seq,
  ts: 1000 + seq,
  tag: `g.${seq}`,
  next,
});

/** Notes as the leader has them, of which a replica gives only some; and the room's messages. */
class Stream {
  readonly notes: Stored[] = [];
  messages: Stored[] = [];
  /** Notes that the replica lacks. */
  behind = 0;
  /** Notes that were read, by anybody. */
  read = 0;

  note(at: number, note: Note): void {
    const body = JSON.stringify(note);
    this.notes.push({ seq: at, prev: 0, ts: 0, body, bytes: body.length });
  }

  of({ subject }: Whose): Stored[] {
    return subject === PLACE.subject ? this.messages : this.notes;
  }

  readonly reader: Pick<StreamReader, "after" | "leaderAfter"> = {
    leaderAfter: async (whose, position) => {
      const found = this.of(whose).find(({ seq }) => seq > position);
      if (found && whose.subject !== PLACE.subject) this.read++;
      return found;
    },
    after: async (whose, position) => {
      const messages = this.of(whose)
        .slice(0, this.notes.length - this.behind)
        .filter(({ seq }) => seq > position)
        .slice(0, 512);
      this.read += messages.length;
      return { messages, pending: 0 };
    },
  };

  tombstones(retentionMs = Infinity): Tombstones {
    return new Tombstones({} as Link, this.reader, retentionMs);
  }
}

const said = (log: readonly Stored[]): string[] =>
  log.map((stored) => {
    const { event } = decode("a", stored, 0)!;
    return event.target === 0 ? event.text : `(${event.target} gone)`;
  });

describe("tombstones", () => {
  test("hide what a replica that is behind still has", async () => {
    const stream = new Stream();
    stream.messages = [1, 2, 3].map(message);
    stream.note(4, wanted(2, 3));
    stream.behind = 1;
    const log = await stream
      .tombstones()
      .merge(PLACE, stream.messages, 0, Infinity);
    expect(said(log)).toEqual(["m1", "(2 gone)", "m3"]);
    expect(log[1]).toMatchObject({ seq: 2, ts: 1002 });
  });

  test("are read once, and what is new of them at once", async () => {
    const stream = new Stream();
    stream.messages = [1, 9].map(message);
    const tombstones = stream.tombstones();
    for (let seq = 2; seq < 9; seq++) {
      stream.note(10 * seq, wanted(seq));
      stream.note(10 * seq + 1, { seq });
      const log = await tombstones.merge(PLACE, stream.messages, 0, 9);
      expect(log.length).toBe(seq + 1);
    }
    // Each twice: the leader tells of one, a replica gives both.
    expect(stream.read).toBe(21);
    await tombstones.merge(PLACE, stream.messages, 0, 9);
    expect(stream.read).toBe(21);
  });

  test("stand before what is left where nothing was between, and else are forgotten with what was", async () => {
    const stream = new Stream();
    for (const [seq, next] of [
      [2, 3],
      [5, 6],
      [6, 7],
      [7, undefined],
    ] as const)
      stream.note(100 + seq, wanted(seq, next));
    stream.note(110, { seq: 7, next: 8 });
    const merged = async (oldest: number | undefined): Promise<string[]> => {
      stream.messages = oldest === undefined ? [] : [message(oldest)];
      return said(
        await stream.tombstones().merge(PLACE, stream.messages, 0, 20),
      );
    };
    expect(await merged(1)).toEqual([
      "m1",
      ...[2, 5, 6, 7].map((seq) => `(${seq} gone)`),
    ]);
    expect(await merged(3)).toEqual([
      "(2 gone)",
      "m3",
      ...[5, 6, 7].map((seq) => `(${seq} gone)`),
    ]);
    expect(await merged(8)).toEqual(["(5 gone)", "(6 gone)", "(7 gone)", "m8"]);
    expect(await merged(9)).toEqual(["m9"]);
    expect(await merged(undefined)).toEqual([]);
  });

  test("go where retention goes by age", async () => {
    const stream = new Stream();
    const now = Date.now();
    stream.messages = [message(1)];
    stream.note(10, { ...wanted(2), ts: now - 60_000 });
    stream.note(11, { ...wanted(3), ts: now - 10_000 });
    const log = await stream
      .tombstones(30_000)
      .merge(PLACE, stream.messages, 0, Infinity);
    expect(said(log)).toEqual(["m1", "(3 gone)"]);
  });

  test("of a room are 10,000 at most, and the last ones stay", async () => {
    const stream = new Stream();
    stream.messages = [message(1)];
    for (let seq = 2; seq < 10_502; seq++)
      stream.note(20_000 + seq, wanted(seq));
    const log = await stream
      .tombstones()
      .merge(PLACE, stream.messages, 0, Infinity);
    expect(log.length).toBe(10_001);
    expect(log[1]!.seq).toBe(502);
  });

  test("of all rooms are as many as there is place for: those of rooms that rested are read again", async () => {
    const stream = new Stream();
    for (let seq = 1; seq <= 9000; seq++) stream.note(seq, wanted(seq));
    const tombstones = stream.tombstones();
    const subjects = new Subjects("t", 1);
    const load = async (room: string): Promise<number> => {
      const before = stream.read;
      await tombstones.get(subjects.place(room), 1);
      return stream.read - before;
    };
    for (let i = 0; i < 11; i++) await load(`r${i}`);
    expect(await load("r0")).toBe(0);
    await load("one more");
    expect(await load("r0")).toBe(0);
    expect(await load("r1")).toBeGreaterThan(9000);
  });

  test("are none where a note cannot be understood", async () => {
    const stream = new Stream();
    stream.messages = [message(1)];
    for (const [i, odd] of [null, 1, {}, { seq: "2" }, { seq: 2 }].entries())
      stream.note(10 + i, odd as Note);
    stream.notes.push({ ...message(20), body: "{" });
    stream.note(30, wanted(3));
    const log = await stream
      .tombstones()
      .merge(PLACE, stream.messages, 0, Infinity);
    expect(said(log)).toEqual(["m1", "(3 gone)"]);
  });
});
