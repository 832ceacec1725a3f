import { expect, test } from "bun:test";
import { Heartbeat, type Verdict } from "../../src/threads/heartbeat.ts";

const PATIENCE = { beats: 3, startBeats: 5, endBeats: 2 };

const beats = (heartbeat: Heartbeat, count: number): Verdict[] =>
  Array.from({ length: count }, () => heartbeat.beat());

const asks = (count: number): Verdict[] =>
  Array.from({ length: count }, () => "ask");

test("a thread that answers is asked on, however late it answers within its patience", () => {
  const heartbeat = new Heartbeat(PATIENCE);
  heartbeat.answered();
  for (let i = 0; i < 10; i++) {
    expect(beats(heartbeat, 3)).toEqual(asks(3));
    heartbeat.answered();
  }
});

test("a thread that stops answering is ended once, and given up if that is in vain", () => {
  const heartbeat = new Heartbeat(PATIENCE);
  heartbeat.answered();
  expect(beats(heartbeat, 6)).toEqual([
    ...asks(3),
    "end",
    "wait",
    "ended in vain",
  ]);
});

test("an answer that was on its way when the thread was ended changes nothing", () => {
  const heartbeat = new Heartbeat(PATIENCE);
  heartbeat.answered();
  beats(heartbeat, 4);
  heartbeat.answered();
  expect(beats(heartbeat, 2)).toEqual(["wait", "ended in vain"]);
});

test("a thread that loads has more patience, until its first answer", () => {
  const heartbeat = new Heartbeat(PATIENCE);
  expect(beats(heartbeat, 5)).toEqual(asks(5));
  heartbeat.answered();
  expect(beats(heartbeat, 4)).toEqual([...asks(3), "end"]);
  expect(beats(new Heartbeat(PATIENCE), 6)).toEqual([...asks(5), "end"]);
});
