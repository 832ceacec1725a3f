import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Feed } from "../../../src/broker/nats/feed.ts";
import type { Stored } from "../../../src/broker/nats/stored.ts";
import { Subjects } from "../../../src/broker/nats/subjects.ts";
import { Random, testSeed } from "../../support/random.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const PLACE = new Subjects("t", 1).place("a");

const stored = (seq: number, prev: number): Stored => ({
  seq,
  prev,
  ts: 0,
  body: "0123456789",
  bytes: 10,
});

function feedFrom(head: number): {
  feed: Feed;
  taken: { seq: number; prev: number }[];
} {
  const taken: { seq: number; prev: number }[] = [];
  const feed = new Feed(PLACE, (_place, { seq }, prev) => {
    taken.push({ seq, prev });
    // Every thirteenth is not ours.
    return seq % 13 !== 0;
  });
  feed.start(head);
  return { feed, taken };
}

describe("a feed", () => {
  test("takes what follows at once, and drops repeats", () => {
    const { feed, taken } = feedFrom(5);
    expect(feed.receive(stored(7, 5))).toBe(false);
    expect(feed.receive(stored(7, 5))).toBe(false);
    expect(feed.receive(stored(4, 3))).toBe(false);
    expect(feed.receive(stored(9, 7))).toBe(false);
    expect(taken).toEqual([
      { seq: 7, prev: 5 },
      { seq: 9, prev: 7 },
    ]);
    expect(feed.missing).toBe(0);
  });

  test("takes what came before it was started, above the head only", () => {
    const taken: number[] = [];
    const feed = new Feed(PLACE, (_p, { seq }) => taken.push(seq) > 0);
    feed.receive(stored(3, 2));
    feed.receive(stored(4, 3));
    feed.receive(stored(6, 4));
    feed.start(4);
    expect(taken).toEqual([6]);
  });

  test("holds what comes after a hole until it is filled", () => {
    const { feed, taken } = feedFrom(1);
    expect(feed.receive(stored(5, 4))).toBe(true);
    expect(feed.receive(stored(6, 5))).toBe(true);
    expect(taken).toEqual([]);
    expect(feed.missing).toBe(4);
    feed.fill([stored(3, 0), stored(4, 3)], true);
    expect(taken).toEqual([
      { seq: 3, prev: 1 },
      { seq: 4, prev: 3 },
      { seq: 5, prev: 4 },
      { seq: 6, prev: 5 },
    ]);
    expect(feed.missing).toBe(0);
  });

  test("shows a hole that cannot be filled", () => {
    const { feed, taken } = feedFrom(1);
    feed.receive(stored(9, 8));
    feed.skipTo(feed.missing);
    feed.receive(stored(10, 9));
    expect(taken).toEqual([
      { seq: 9, prev: 8 },
      { seq: 10, prev: 9 },
    ]);
  });

  test("shows a hole before what was read where something was removed", () => {
    const { feed, taken } = feedFrom(1);
    feed.receive(stored(9, 8));
    feed.fill([stored(7, 0), stored(8, 7)], false);
    expect(taken).toEqual([
      { seq: 7, prev: 6 },
      { seq: 8, prev: 7 },
      { seq: 9, prev: 8 },
    ]);
  });

  test("a purged room goes on where it was", () => {
    const { feed, taken } = feedFrom(5);
    expect(feed.receive(stored(8, 0))).toBe(false);
    expect(taken).toEqual([{ seq: 8, prev: 5 }]);
  });

  test("a message that is no event leaves no hole", () => {
    const { feed, taken } = feedFrom(12);
    feed.receive(stored(13, 12));
    feed.receive(stored(14, 13));
    expect(taken[1]).toEqual({ seq: 14, prev: 12 });
  });

  test("what is more than it may hold is read from the stream", () => {
    const { feed, taken } = feedFrom(0);
    let prev = 1;
    for (let seq = 2; seq < 3000; seq++) {
      feed.receive(stored(seq, prev));
      prev = seq;
    }
    expect(taken).toEqual([]);
    expect(feed.missing).toBeGreaterThan(1);
    const all = Array.from({ length: 2999 }, (_, i) => stored(i + 1, i));
    while (feed.missing > 0)
      feed.fill(all.slice(feed.position, feed.position + 100), true);
    expect(taken.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq));
  });
});

test("whatever is lost, repeated or late: every message once and in order", () => {
  const random = new Random(testSeed());
  for (let round = 0; round < 200; round++) {
    const log: Stored[] = [];
    for (let seq = 0, n = random.below(60); n >= 0; n--) {
      const prev = seq;
      seq += 1 + random.below(4);
      log.push(stored(seq, prev));
    }
    const start = random.below(log.length);
    const head = start === 0 ? 0 : log[start - 1]!.seq;
    const { feed, taken } = feedFrom(head);
    let sent = start;
    while (sent < log.length || feed.position < log.at(-1)!.seq) {
      if (sent < log.length && random.chance(0.7)) {
        const message = log[sent++]!;
        if (random.chance(0.8)) feed.receive(message);
        if (random.chance(0.1)) feed.receive(random.pick(log.slice(0, sent)));
      } else {
        // A head that somebody saw, and a read that goes some way.
        if (sent > 0) feed.expect(log[sent - 1]!.seq);
        feed.healing = true;
        const from = log.findIndex(({ seq }) => seq > feed.position);
        if (sent < log.length && random.chance(0.5)) feed.receive(log[sent++]!);
        if (from >= 0 && from < sent && feed.missing > 0)
          feed.fill(
            log.slice(from, Math.min(sent, from + 1 + random.below(5))),
            true,
          );
        feed.healing = false;
        feed.drain();
      }
    }
    const context = `seed ${random.seed}, round ${round}`;
    expect(
      taken.map(({ seq }) => seq),
      context,
    ).toEqual(log.slice(start).map(({ seq }) => seq));
    // Who holds the event before finds that the next one follows.
    let position = head;
    for (const { seq, prev } of taken) {
      expect(prev, context).toBe(position);
      if (seq % 13 !== 0) position = seq;
    }
  }
});
