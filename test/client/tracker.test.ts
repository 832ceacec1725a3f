import { describe, expect, test } from "bun:test";
import {
  MAX_HELD,
  Tracker,
  type Step,
  type Stored,
} from "../../src/client/tracker.ts";
import type { EventFrame } from "../../src/client/index.ts";
import { Random, testSeed } from "../support/random.ts";

const event = (seq: number, prev?: number): EventFrame => ({
  action: "receive_message",
  room: "general",
  seq,
  ...(prev === undefined ? {} : { prev }),
});
const events = (from: number, to: number): EventFrame[] =>
  Array.from({ length: to - from + 1 }, (_, i) => event(from + i));
const reply = (seq: number, rest: object = {}) => ({
  epoch: "E1",
  seq,
  recovered: true,
  more: false,
  messages: [],
  ...rest,
});
const ack = (seq: number): Stored => ({ seq, done() {} });
/** [delivered seqs, what is to be done] */
const told = ({ deliver, then }: Step) => [deliver.map((e) => e.seq), then];

/** In the room at `seq`. */
function at(seq: number): Tracker {
  const tracker = new Tracker({ epoch: "E1", seq });
  tracker.joined(reply(seq));
  return tracker;
}

describe("live", () => {
  test("what follows is given out, repeats are dropped", () => {
    const tracker = at(5);
    expect(told(tracker.take(event(6)))).toEqual([[6], undefined]);
    expect(told(tracker.take(event(6)))).toEqual([[], undefined]);
    expect(told(tracker.take(event(3)))).toEqual([[], undefined]);
    expect(told(tracker.take(event(9, 6)))).toEqual([[9], undefined]);
    // `prev` is at most the event before.
    expect(told(tracker.take(event(12, 2)))).toEqual([[12], undefined]);
    expect(tracker.since).toEqual({ epoch: "E1", seq: 12 });
  });

  test("a hole is filled before what follows it, and those that come meanwhile wait", () => {
    const tracker = at(5);
    expect(told(tracker.take(event(9, 7)))).toEqual([[], "page"]);
    expect(told(tracker.take(event(10)))).toEqual([[], undefined]);
    expect(tracker.since).toEqual({ epoch: "E1", seq: 5 });
    expect(told(tracker.page([event(6)]))).toEqual([[6], "page"]);
    // A page may hold more than the hole: what is held stands for itself.
    expect(told(tracker.page(events(7, 10)))).toEqual([
      [7, 8, 9, 10],
      undefined,
    ]);
    expect(told(tracker.take(event(11)))).toEqual([[11], undefined]);
  });

  test("a second hole among what is held is filled too", () => {
    const tracker = at(0);
    tracker.take(event(3));
    tracker.take(event(6));
    expect(told(tracker.page(events(1, 2)))).toEqual([[1, 2, 3], "page"]);
    expect(told(tracker.page(events(4, 5)))).toEqual([[4, 5, 6], undefined]);
  });

  test("where `prev` is lower than the event before, the page ends below what is held", () => {
    const tracker = at(3);
    tracker.take(event(7, 5));
    expect(told(tracker.page([event(4), event(6, 5)]))).toEqual([[4], "page"]);
    expect(told(tracker.page([event(5), event(6)]))).toEqual([
      [5, 6, 7],
      undefined,
    ]);
  });

  test("a hole that history no longer holds needs a join", () => {
    const empty = at(5);
    empty.take(event(9));
    expect(told(empty.page([]))).toEqual([[], "rejoin"]);
    const trimmed = at(5);
    trimmed.take(event(9));
    expect(told(trimmed.page([event(8, 7)]))).toEqual([[], "rejoin"]);
    const partly = at(5);
    partly.take(event(9));
    expect(told(partly.page([event(6), event(8)]))).toEqual([[6], "page"]);
    expect(told(partly.page([event(8)]))).toEqual([[], "rejoin"]);
  });

  test("an ack stands for its event, in its place", () => {
    const tracker = at(5);
    expect(told(tracker.take(ack(6)))).toEqual([[6], undefined]);
    expect(tracker.seq).toBe(6);
    tracker.take(ack(4));
    expect(tracker.seq).toBe(6);
    tracker.take(event(9, 8));
    // While a hole is filled it waits, as an event would.
    tracker.take(ack(10));
    expect(tracker.seq).toBe(6);
    expect(told(tracker.page(events(7, 8)))).toEqual([
      [7, 8, 9, 10],
      undefined,
    ]);
    expect(tracker.seq).toBe(10);
    // After its own event it is only told.
    tracker.take(event(11));
    expect(told(tracker.take(ack(11)))).toEqual([[11], undefined]);
  });

  test("more than can be held: rather a join from the position", () => {
    const tracker = at(0);
    tracker.take(event(2));
    for (let seq = 3; seq <= MAX_HELD + 1; seq++)
      expect(tracker.take(event(seq)).then).toBeUndefined();
    expect(tracker.take(event(MAX_HELD + 2)).then).toBe("rejoin");
    tracker.leave();
    expect(tracker.since).toEqual({ epoch: "E1", seq: 0 });
  });
});

describe("joining", () => {
  test("for the first time: the latest messages, and on from there", () => {
    const tracker = new Tracker(undefined);
    expect(tracker.since).toBeUndefined();
    const step = tracker.joined(
      reply(7, { recovered: false, messages: events(6, 7) }),
    );
    expect(step.reset).toBe(false);
    expect(told(step)).toEqual([[6, 7], undefined]);
    expect(told(tracker.take(event(8)))).toEqual([[8], undefined]);
  });

  test("an empty room has a position", () => {
    const tracker = new Tracker(undefined);
    tracker.joined(reply(0, { recovered: false }));
    expect(tracker.since).toEqual({ epoch: "E1", seq: 0 });
  });

  test("with a position: what was missed; until the answer nothing counts", () => {
    const tracker = at(5);
    tracker.leave();
    expect(told(tracker.take(event(6)))).toEqual([[], undefined]);
    tracker.take(ack(6));
    expect(tracker.since).toEqual({ epoch: "E1", seq: 5 });
    const step = tracker.joined(reply(8, { messages: events(5, 8) }));
    expect([...told(step), step.reset]).toEqual([[6, 7, 8], undefined, false]);
  });

  test("a cut answer is paged up to its seq while live events wait", () => {
    const tracker = at(5);
    tracker.leave();
    const step = tracker.joined(
      reply(20, { more: true, messages: events(6, 9) }),
    );
    expect(told(step)).toEqual([[6, 7, 8, 9], "page"]);
    expect(told(tracker.take(event(21)))).toEqual([[], undefined]);
    // The slice went on: history reaches beyond the answer.
    expect(told(tracker.page(events(10, 16)))).toEqual([
      events(10, 16).map((e) => e.seq),
      "page",
    ]);
    expect(told(tracker.page(events(17, 21)))).toEqual([
      [17, 18, 19, 20, 21],
      undefined,
    ]);
    expect(told(tracker.take(event(22)))).toEqual([[22], undefined]);
  });

  test.each([
    [
      "the server cannot recover",
      reply(3, { recovered: false, messages: events(2, 3) }),
    ],
    ["another epoch", reply(3, { epoch: "E2", messages: events(2, 3) })],
  ])("a reset where %s", (_, answer) => {
    const tracker = at(50);
    tracker.leave();
    const step = tracker.joined(answer);
    expect([...told(step), step.reset]).toEqual([[], undefined, true]);
    expect(tracker.since).toEqual({ epoch: answer.epoch, seq: 3 });
    expect(told(tracker.take(event(4)))).toEqual([[4], undefined]);
  });

  test("what comes before a late taking of the answer is held", () => {
    const tracker = new Tracker(undefined);
    tracker.wait();
    expect(told(tracker.take(event(3)))).toEqual([[], undefined]);
    tracker.take(ack(4));
    const step = tracker.joined(
      reply(2, { recovered: false, messages: events(1, 2) }),
    );
    expect(told(step)).toEqual([[1, 2, 3, 4], undefined]);
    expect(tracker.seq).toBe(4);
  });
});

test("seeded: whatever is lost on the way, each event comes once and in order", () => {
  const random = new Random(testSeed());
  for (let run = 0; run < 300; run++) {
    // A log whose seqs have gaps, as a stream that numbers all rooms has.
    const log: EventFrame[] = [];
    for (let i = 0, seq = 0; i < 60; i++) {
      const prev = seq;
      seq += 1 + random.below(3);
      log.push(event(seq, prev));
    }
    const tracker = new Tracker({ epoch: "E1", seq: 0 });
    const got: number[] = [];
    let live = 0;
    let todo: Step["then"] = "rejoin";
    const take = ({ deliver, then }: Step): void => {
      got.push(...deliver.map((e) => e.seq));
      if (then) todo = then;
    };
    while (got.length < log.length) {
      const dice = random.next();
      if (todo === "rejoin" || (dice < 0.1 && live > 0)) {
        tracker.leave();
        const missed = log.slice(0, live).filter((e) => e.seq > tracker.seq);
        const part = missed.slice(0, 1 + random.below(8));
        todo = undefined;
        take(
          tracker.joined(
            reply(log[live - 1]?.seq ?? 0, {
              messages: part,
              more: part.length < missed.length,
            }),
          ),
        );
      } else if (todo === "page" && dice < 0.7) {
        const missed = log.slice(0, live).filter((e) => e.seq > tracker.seq);
        todo = undefined;
        take(tracker.page(missed.slice(0, 1 + random.below(8))));
      } else if (live < log.length) {
        const next = log[live++]!;
        // Some are lost on the way; the last is not, or nobody could know.
        if (live === log.length || random.chance(0.7)) take(tracker.take(next));
      }
    }
    expect(got, `seed ${random.seed}, run ${run}`).toEqual(
      log.map((e) => e.seq),
    );
  }
});
