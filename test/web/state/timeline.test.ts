import { describe, expect, test } from "bun:test";
import { Timeline, type Message } from "../../../src/web/state/timeline.ts";

const message = (seq: number, text = "x"): Message => ({
  seq,
  from: "Ann",
  user: "guest:a",
  text,
  ts: seq,
});
const range = (from: number, to: number): Message[] =>
  Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
const seqs = (timeline: Timeline): number[] =>
  timeline.chunks.flatMap((chunk) => chunk.messages.map(({ seq }) => seq));
const ascending = (from: number, to: number): number[] =>
  range(from, to).map(({ seq }) => seq);

const WIDE = { messages: 1_000, chars: 1_000_000 };

describe("a timeline", () => {
  test("takes each live message once, in order", () => {
    const timeline = new Timeline(WIDE);
    expect(timeline.append(message(1))).toBe(true);
    expect(timeline.append(message(3))).toBe(true);
    expect(timeline.append(message(3))).toBe(false);
    expect(timeline.append(message(2))).toBe(false);
    expect(seqs(timeline)).toEqual([1, 3]);
    expect(timeline.count).toBe(2);
  });

  test("changes only the last chunk for a new message", () => {
    const timeline = new Timeline(WIDE);
    timeline.reset(range(1, 120), false);
    const before = timeline.chunks;
    timeline.append(message(121));
    expect(timeline.chunks.slice(0, -1)).toEqual(before.slice(0, -1));
    for (const [at, chunk] of before.slice(0, -1).entries())
      expect(timeline.chunks[at]).toBe(chunk);
    expect(timeline.chunks.at(-1)).not.toBe(before.at(-1));
    expect(timeline.chunks.at(-1)!.id).toBe(before.at(-1)!.id);
    // The old one was not changed in place.
    expect(before.at(-1)!.messages.at(-1)!.seq).toBe(120);
  });

  test("leaves all chunks as they are when older messages come before them", () => {
    const timeline = new Timeline(WIDE);
    timeline.reset(range(101, 160), true);
    const before = timeline.chunks;
    timeline.prepend(range(1, 102), false);
    expect(timeline.chunks.slice(-before.length)).toEqual([...before]);
    expect(seqs(timeline)).toEqual(ascending(1, 160));
    expect(timeline.moreBefore).toBe(false);
    expect(new Set(timeline.chunks.map(({ id }) => id)).size).toBe(
      timeline.chunks.length,
    );
  });

  test("keeps live messages that came before the latest part of the log", () => {
    const timeline = new Timeline(WIDE);
    for (const live of [9, 10, 11]) timeline.append(message(live));
    timeline.reset(range(5, 10), true);
    expect(seqs(timeline)).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(timeline.moreBefore).toBe(true);
  });

  test("loses its oldest messages past its limit of messages, and says so", () => {
    const timeline = new Timeline({ messages: 100, chars: 1_000_000 });
    for (const live of range(1, 1_000)) timeline.append(live);
    expect(timeline.count).toBeLessThanOrEqual(100);
    expect(timeline.count).toBe(seqs(timeline).length);
    expect(timeline.last!.seq).toBe(1_000);
    expect(timeline.moreBefore).toBe(true);
  });

  test("loses its oldest messages past its limit of characters", () => {
    const timeline = new Timeline({ messages: 10_000, chars: 10_000 });
    for (const { seq } of range(1, 1_000))
      timeline.append(message(seq, "y".repeat(100)));
    expect(timeline.count).toBeLessThanOrEqual(100);
    expect(timeline.last!.seq).toBe(1_000);
  });

  test("loses its newest messages where older ones are read past its limit, and gets them back page by page", () => {
    const timeline = new Timeline({ messages: 100, chars: 1_000_000 });
    timeline.reset(range(901, 1_000), true);
    timeline.prepend(range(801, 900), true);
    expect(timeline.first!.seq).toBe(801);
    expect(timeline.count).toBeLessThanOrEqual(100);
    expect(timeline.moreAfter).toBe(true);
    // Live messages would leave a hole.
    expect(timeline.append(message(1_001))).toBe(false);
    const { seq } = timeline.last!;
    timeline.appendPage(range(seq, 1_001), false);
    expect(timeline.last!.seq).toBe(1_001);
    expect(timeline.moreAfter).toBe(false);
    expect(timeline.moreBefore).toBe(true);
    expect(seqs(timeline)).toEqual(ascending(timeline.first!.seq, 1_001));
  });

  test("leaves the newest out while somebody reads older ones", () => {
    const timeline = new Timeline({ messages: 100, chars: 1_000_000 });
    timeline.reset(range(1, 100), false);
    expect(timeline.append(message(101), true)).toBe(false);
    expect(timeline.first!.seq).toBe(1);
    expect(timeline.moreAfter).toBe(true);
  });

  test("starts anew where the latest part is asked for again", () => {
    const timeline = new Timeline({ messages: 100, chars: 1_000_000 });
    timeline.reset(range(901, 1_000), true);
    timeline.prepend(range(801, 900), true);
    timeline.reset(range(951, 1_050), true);
    expect(seqs(timeline)).toEqual(ascending(951, 1_050));
    expect(timeline.moreAfter).toBe(false);
  });

  test("shrinks to a new limit", () => {
    const timeline = new Timeline(WIDE);
    timeline.reset(range(1, 500), false);
    timeline.limit({ messages: 100, chars: 1_000_000 });
    expect(timeline.count).toBeLessThanOrEqual(100);
    expect(timeline.last!.seq).toBe(500);
    timeline.clear();
    expect(timeline.count).toBe(0);
    expect(timeline.last).toBeUndefined();
  });
});

describe("a deleted message", () => {
  const fates = (timeline: Timeline): (string | undefined)[] =>
    timeline.chunks.flatMap(({ messages }) => messages.map(({ fate }) => fate));

  test("keeps its place, without its text, in a new chunk of the same number", () => {
    const timeline = new Timeline({ messages: 1000, chars: 3 });
    timeline.reset([message(1, "abc"), message(2, "def")], false);
    const [before] = timeline.chunks;
    expect(timeline.erase(2)).toBe(true);
    expect(seqs(timeline)).toEqual([1, 2]);
    expect(fates(timeline)).toEqual([undefined, "deleted"]);
    expect(timeline.last!.text).toBe("");
    expect(timeline.chunks[0]).not.toBe(before);
    expect(timeline.chunks[0]!.id).toBe(before!.id);
    // Its characters do not count any more.
    timeline.append(message(3), true);
    expect(timeline.moreAfter).toBe(true);
    timeline.erase(1);
    timeline.moreAfter = false;
    expect(timeline.append(message(3), true)).toBe(true);
  });

  test("is erased once, and only where it is held", () => {
    const timeline = new Timeline(WIDE);
    timeline.reset(range(10, 200), true);
    const { chunks } = timeline;
    expect(timeline.erase(9)).toBe(false);
    expect(timeline.erase(201)).toBe(false);
    expect(timeline.chunks).toBe(chunks);
    expect(timeline.erase(70)).toBe(true);
    expect(timeline.erase(70)).toBe(false);
    expect(
      timeline.chunks.filter((chunk, i) => chunk !== chunks[i]),
    ).toHaveLength(1);
  });
});
