import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Meter } from "../../src/gateway/meter.ts";

const KIB = 1024;

/** Ends when the event loop has gone round once. */
const loopTurn = (): Promise<void> =>
  new Promise((resolve) => setImmediate(resolve));

interface Reply {
  readonly index: number;
  readonly turn: number;
  readonly bytes: number;
}

/**
 * Asks for a reply of each size, `perTurn` in each turn of the loop.
 * @returns the replies as they left, and in which turn of the loop: 0 is the one in which the first was asked for
 */
async function run(
  bytesPerTurn: number,
  sizes: readonly number[],
  perTurn: number,
): Promise<Reply[]> {
  const meter = new Meter(bytesPerTurn);
  const sent: Reply[] = [];
  let turn = 0;
  // Asked for before the meter asks for its turn, so that it comes before the meter's in each round.
  const count = (): void => {
    if (++turn > 100_000) throw new Error("replies are stuck");
    if (sent.length < sizes.length) setImmediate(count);
  };
  setImmediate(count);
  const reply = async (index: number): Promise<void> => {
    const wait = meter.turn();
    if (wait) await wait;
    meter.spend(sizes[index]!);
    sent.push({ index, turn, bytes: sizes[index]! });
  };
  for (let asked = 0; sent.length < sizes.length;) {
    for (let i = 0; i < perTurn && asked < sizes.length; i++)
      void reply(asked++);
    await loopTurn();
  }
  return sent;
}

test("the first of a quiet time need not wait", () => {
  const meter = new Meter(256 * KIB);
  expect(meter.turn()).toBeUndefined();
  meter.spend(1000);
  expect(meter.turn()).toBeUndefined();
});

test("one that comes when the turn is spent waits for the next", async () => {
  const meter = new Meter(64 * KIB);
  expect(meter.turn()).toBeUndefined();
  meter.spend(64 * KIB);
  const order: string[] = [];
  const wait = meter.turn();
  expect(wait).toBeInstanceOf(Promise);
  void wait!.then(() => order.push("reply"));
  await Promise.resolve();
  order.push("this turn");
  await wait;
  expect(order).toEqual(["this turn", "reply"]);
});

test("nobody passes those that wait", async () => {
  const meter = new Meter(64 * KIB);
  meter.turn();
  meter.spend(100 * KIB);
  const first = meter.turn();
  const second = meter.turn();
  expect(second).toBeInstanceOf(Promise);
  const order: number[] = [];
  void first!.then(() => order.push(1));
  void second!.then(() => order.push(2));
  await second;
  expect(order).toEqual([1, 2]);
});

test("what a turn spent too much is taken from the next ones", async () => {
  const sent = await run(64 * KIB, [640 * KIB, 0], 2);
  // 640 KiB and 16 for a reply as such: after ten turns less than one turn's worth is left to pay.
  expect(sent.map((reply) => reply.turn)).toEqual([0, 10]);
});

test("it is quiet again once everything is paid", async () => {
  const meter = new Meter(64 * KIB);
  meter.turn();
  meter.spend(200 * KIB);
  for (let i = 0; i < 5; i++) await loopTurn();
  expect(meter.turn()).toBeUndefined();
});

describe("a storm of replies", () => {
  const sizes = fc.array(fc.nat({ max: 300 * KIB }), {
    minLength: 1,
    maxLength: 60,
  });
  const budget = fc.constantFrom(1 * KIB, 64 * KIB, 1024 * KIB);

  test("leaves in the order in which it came, and whole", async () => {
    await fc.assert(
      fc.asyncProperty(
        sizes,
        budget,
        fc.constantFrom(1, 3, 100),
        async (bytes, perTurn, asked) => {
          const sent = await run(perTurn, bytes, asked);
          expect(sent.map((reply) => reply.index)).toEqual(
            bytes.map((_, i) => i),
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  test("takes its budget of every turn on average, but for one overdraft", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, budget, async (bytes, perTurn) => {
        const sent = await run(perTurn, bytes, bytes.length);
        for (const reply of sent) {
          const before = sent
            .filter((earlier) => earlier.turn < reply.turn)
            .reduce((sum, earlier) => sum + earlier.bytes, 0);
          // It was let out only when less than one turn's worth of what left before was still to pay.
          expect(before).toBeLessThan((reply.turn + 1) * perTurn);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("of small replies lets out only so many in one turn: each costs 16 KiB at least", async () => {
    const sent = await run(64 * KIB, Array(100).fill(0), 100);
    const turns = Map.groupBy(sent, (reply) => reply.turn);
    for (const [, replies] of turns)
      expect(replies.length).toBeLessThanOrEqual(4);
    expect(turns.size).toBe(25);
  });
});
