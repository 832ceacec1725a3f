import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Group,
  layOut,
  type LoadPlan,
  scheduled,
} from "../../bench/load/plan.ts";
import { Schedule } from "../../bench/load/schedule.ts";
import { smallPlan } from "./small-plan.ts";

const START_US = 1_000_000;

/** All that a schedule sends, in order. */
function drain(group: Group, streams: number[], end_us: number) {
  const schedule = new Schedule(group, streams, START_US, end_us);
  const all: { due: number; stream: number; number: number }[] = [];
  for (let due = schedule.due; due < Infinity; due = schedule.due)
    all.push({ due, ...schedule.take() });
  return all;
}

const streamsOf = ({ first_stream, rooms, senders }: Group): number[] =>
  Array.from({ length: rooms * senders }, (_, i) => first_stream + i);

test("message k is due at k / (rooms × rate) seconds, rooms taking turns", () => {
  const plan = smallPlan({ rooms: 2, members: 3, senders: 2, rate: 5 });
  const group = layOut(plan)[0]!;
  const sent = drain(group, streamsOf(group), START_US + 600_000);
  expect(sent).toEqual([
    { due: START_US, stream: 0, number: 0 },
    { due: START_US + 100_000, stream: 2, number: 0 },
    { due: START_US + 200_000, stream: 1, number: 0 },
    { due: START_US + 300_000, stream: 3, number: 0 },
    { due: START_US + 400_000, stream: 0, number: 1 },
    { due: START_US + 500_000, stream: 2, number: 1 },
  ]);
});

test("processes that share the streams send together what one would send alone", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 90 }),
      fc.integer({ min: 1, max: 4 }),
      (rooms, senders, rate, processes) => {
        const plan = smallPlan({ rooms, members: senders + 1, senders, rate });
        const group = layOut(plan)[0]!;
        const end_us = START_US + seconds(plan) * 1e6;
        const streams = streamsOf(group);
        const whole = drain(group, streams, end_us);
        const parts = Array.from({ length: processes }, (_, i) =>
          drain(
            group,
            streams.filter((stream) => stream % processes === i),
            end_us,
          ),
        ).flat();
        expect(parts.sort((a, b) => a.due - b.due)).toEqual(whole);
        expect(whole.length).toBe(scheduled(plan, group));
        expect(whole.every(({ due }) => due < end_us)).toBe(true);
        // Each stream counts from 0 without a gap.
        for (const stream of streams) {
          const numbers = whole.filter((one) => one.stream === stream);
          expect(numbers.map(({ number }) => number)).toEqual(
            numbers.map((_, i) => i),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a group that only listens has nothing due", () => {
  const group = layOut(
    smallPlan({ rooms: 1, members: 2, senders: 1, rate: 0 }),
  )[0]!;
  expect(drain(group, streamsOf(group), Infinity)).toEqual([]);
});

const seconds = (plan: LoadPlan): number => plan.warmup_seconds + plan.seconds;
