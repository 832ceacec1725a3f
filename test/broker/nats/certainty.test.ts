import { describe, expect, test } from "bun:test";
import type { StreamInfo } from "@nats-io/jetstream";
import { Certainty, isLeaders } from "../../../src/broker/nats/certainty.ts";
import { LinkError } from "../../../src/broker/nats/link.ts";
import type { Stored } from "../../../src/broker/nats/stored.ts";
import { Subjects } from "../../../src/broker/nats/subjects.ts";

type Replica = NonNullable<
  NonNullable<StreamInfo["cluster"]>["replicas"]
>[number];

/** @param heardMs since it was heard of last; 0: never */
const replica = (heardMs: number, more: Partial<Replica> = {}): Replica => ({
  name: "r",
  current: heardMs > 0,
  offline: false,
  active: heardMs * 1e6,
  lag: 0,
  ...more,
});

const told = (leader: string | undefined, ...replicas: Replica[]): boolean =>
  isLeaders({
    cluster: { name: "c", ...(leader ? { leader } : {}), replicas },
  });

describe("a stream's leader is believed", () => {
  test("where it is alone", () => {
    expect(isLeaders({})).toBe(true);
    expect(isLeaders({ cluster: { leader: "n0" } as never })).toBe(true);
    expect(told("n0")).toBe(true);
  });

  test("while it hears of most replicas", () => {
    expect(told("n0", replica(7), replica(900))).toBe(true);
    expect(told("n0", replica(7), replica(60_000))).toBe(true);
    expect(told("n0", replica(7), replica(0))).toBe(true);
  });

  // As a leader answers that was cut off: nats-server 2.15.1 goes on for 12 s, and says "current" for 10.
  test("not once it heard of too few for so long that they may have another", () => {
    expect(told("n2", replica(3966), replica(3966))).toBe(false);
    expect(told("n2", replica(9581), replica(9581))).toBe(false);
    expect(told("n2", replica(0), replica(0))).toBe(false);
    expect(told("n2", replica(7, { offline: true }), replica(4000))).toBe(
      false,
    );
    expect(
      told("n2", replica(7), replica(4000), replica(4000), replica(4000)),
    ).toBe(false);
  });

  // After those 12 s, and after it came back.
  test("nor anybody else instead of it", () => {
    expect(told(undefined, replica(581), replica(0), replica(0))).toBe(false);
  });
});

const PLACE = new Subjects("t", 1).place("a");

interface Known {
  /** The room's head, and up to where the stream is known, to whoever answers a direct read. */
  readonly head?: number;
  readonly upto?: number;
  /** Of the stream, as its leader says; undefined where no leader is sure. */
  readonly last?: number;
  readonly next?: number;
}

const certainty = ({ head, upto, last, next }: Known): Certainty =>
  new Certainty(
    {
      heads: async () => ({
        heads: new Map(head === undefined ? [] : [[PLACE.subject, head]]),
        upto,
      }),
      leaderAfter: async () =>
        next === undefined ? undefined : ({ seq: next } as Stored),
    },
    async () => {
      if (last === undefined) throw new LinkError("no leader");
      return { state: { last_seq: last } } as StreamInfo;
    },
  );

describe("that a room holds nothing above a position", () => {
  const AFTER = 10;
  const SEQ = 15;

  test.each<[string, Known, boolean]>([
    ["not where somebody knows of more", { head: 12, upto: 12 }, false],
    [
      "where somebody knows the stream up to there",
      { head: 8, upto: 15 },
      true,
    ],
    [
      "where the stream does not go so far",
      { head: 8, upto: 9, last: 14 },
      true,
    ],
    ["where the room is empty, as its leader says too", { last: 20 }, true],
    ["not where only its leader knows of more", { last: 20, next: 15 }, false],
  ])("is sure: %s", async (_name, known, sure) =>
    expect(await certainty(known).endsAt(PLACE, AFTER, SEQ)).toBe(sure),
  );

  test.each<[string, Known]>([
    ["whoever answers is behind", { head: 8, upto: 9, last: 20 }],
    ["whoever answers is behind, and no leader is sure", { head: 8, upto: 9 }],
    ["nothing is known of the room, and no leader is sure", {}],
  ])("is not sure: %s", (_name, known) =>
    expect(certainty(known).endsAt(PLACE, AFTER, SEQ)).rejects.toBeInstanceOf(
      LinkError,
    ),
  );
});
