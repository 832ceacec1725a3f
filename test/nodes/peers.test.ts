import { expect, test } from "bun:test";
import { Peers } from "../../src/nodes/peers.ts";
import type { Beat } from "../../src/nodes/wire.ts";

const DEAD_AFTER_MS = 2750;

/** Peers of a node that hears itself and another one, by a clock of the test's. */
class Clock {
  now = 0;
  readonly log: string[] = [];
  readonly peers = new Peers(
    DEAD_AFTER_MS,
    {
      came: ({ id }) => this.log.push(`came ${id}`),
      went: ({ id }) => this.log.push(`went ${id}`),
      gap: ({ id }) => this.log.push(`gap ${id}`),
      changed: () => {},
    },
    0,
  );
  #beats = 0;

  beat(number = ++this.#beats): void {
    this.#beats = Math.max(this.#beats, number);
    const beat: Beat = { beat: number, connections: 1, upto: 0, changed: [] };
    this.peers.heard("b", beat, this.now);
  }

  /** Lets time pass with ticks, own beats that come back (or not), and the other node's (or not). */
  pass(ms: number, echo: boolean, beat: boolean): void {
    for (const until = this.now + ms; this.now < until;) {
      this.now += 250;
      if (this.now % 1000 === 0) {
        if (beat) this.beat();
        if (echo) this.peers.echo(this.now);
      }
      this.peers.tick(this.now);
    }
  }
}

test("a node that beats stays, one that is silent is gone", () => {
  const clock = new Clock();
  clock.pass(10_000, true, true);
  expect(clock.log).toEqual(["came b"]);
  clock.pass(2750, true, false);
  expect(clock.log).toEqual(["came b"]);
  clock.pass(250, true, false);
  expect(clock.log).toEqual(["came b", "went b"]);
});

test("while own beats do not come back, nobody is gone; afterwards silence is counted anew", () => {
  const clock = new Clock();
  clock.pass(3000, true, true);
  clock.pass(10_000, false, false);
  clock.pass(2500, true, false);
  expect(clock.log).toEqual(["came b"]);
  clock.pass(2000, true, false);
  expect(clock.log).toEqual(["came b", "went b"]);
});

test("without NATS others are shown for half a minute", () => {
  const clock = new Clock();
  clock.pass(3000, true, true);
  clock.pass(31_000, false, false);
  expect(clock.log).toEqual(["came b"]);
  clock.pass(1000, false, false);
  expect(clock.log).toEqual(["came b", "went b"]);
});

test("a node that was stopped itself does not take others for dead", () => {
  const clock = new Clock();
  clock.pass(3000, true, true);
  clock.now += 100_000;
  clock.peers.tick(clock.now);
  expect(clock.log).toEqual(["came b"]);
  clock.peers.echo(clock.now);
  clock.peers.tick(clock.now);
  expect(clock.log).toEqual(["came b"]);
});

test("a beat that is missing is noticed, one that comes late is not taken for news", () => {
  const clock = new Clock();
  clock.beat(1);
  clock.beat(2);
  clock.beat(4);
  clock.beat(3);
  clock.beat(5);
  expect(clock.log).toEqual(["came b", "gap b"]);
});

test("nobody is waited for who is late, or while nobody is heard", () => {
  const clock = new Clock();
  const prompt = (): string[] =>
    [...clock.peers.prompt(clock.now)].map(({ id }) => id);
  clock.pass(3000, true, true);
  expect(prompt()).toEqual(["b"]);
  clock.pass(1500, true, false);
  expect(prompt()).toEqual([]);
  clock.beat();
  expect(prompt()).toEqual(["b"]);
  clock.pass(1750, false, true);
  expect(prompt()).toEqual([]);
});
