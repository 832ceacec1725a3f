import { expect, setDefaultTimeout, test } from "bun:test";
import type { Peer } from "../../src/gateway/connection.ts";
import { drainPeers } from "../../src/gateway/drain.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

/** Members that note what they are told. */
class Crowd {
  readonly peers = new Set<Peer>();
  /** Delays in ms, in the order in which they were told. */
  readonly asked: number[] = [];
  readonly closed: Peer[] = [];

  /** @param leaves whether they go when they are asked to */
  constructor(
    count: number,
    private readonly leaves: boolean,
  ) {
    for (let i = 0; i < count; i++) this.add();
  }

  add(publishing = 0): Peer {
    const peer = {
      publishing,
      sendAway: (afterMs: number) => {
        this.asked.push(afterMs);
        if (this.leaves) this.peers.delete(peer);
      },
      terminate: (code: number) => {
        expect(code).toBe(1012);
        this.closed.push(peer);
        this.peers.delete(peer);
      },
    } as Partial<Peer> as Peer;
    this.peers.add(peer);
    return peer;
  }
}

const GRACE = { timeoutMs: 30_000, graceMs: 20_000 };

test("thousands are asked in waves, not at once, and come back in as many parts of the time after the last wave", async () => {
  const crowd = new Crowd(1000, true);
  const drained = drainPeers(crowd.peers, { ...GRACE, connections: 1000 });
  // Until here nothing has been awaited: this is the first wave.
  expect(crowd.asked).toHaveLength(100);
  await drained;
  expect(crowd.asked).toHaveLength(1000);
  expect(crowd.closed).toEqual([]);
  const waves = Array.from({ length: 10 }, (_, i) =>
    crowd.asked.slice(100 * i, 100 * (i + 1)),
  );
  for (const [i, delays] of waves.entries()) {
    // A second after the last wave is asked; 2,000 ms are for all.
    const since = (9 - i) * 100 + 1000;
    for (const delay of delays)
      expect(delay - since).toBeWithin(200 * i, 200 * (i + 1) + 1);
    expect(new Set(delays).size).toBeGreaterThan(30);
  }
});

test("with little time more are asked at once, with none all", async () => {
  const crowd = new Crowd(1000, true);
  const drained = drainPeers(crowd.peers, {
    timeoutMs: 30_000,
    graceMs: 400,
    connections: 1000,
  });
  expect(crowd.asked).toHaveLength(500);
  await drained;
  expect(crowd.asked).toHaveLength(1000);

  const hurried = new Crowd(1000, false);
  const ended = drainPeers(hurried.peers, {
    timeoutMs: 1000,
    graceMs: 0,
    connections: 1000,
  });
  expect(hurried.asked).toHaveLength(1000);
  await ended;
  expect(hurried.closed).toHaveLength(1000);
});

test("others of the same server come back too: the time is for all of them", async () => {
  const crowd = new Crowd(50, true);
  await drainPeers(crowd.peers, { ...GRACE, connections: 9000 });
  expect(Math.max(...crowd.asked)).toBeWithin(6000, 11_001);
  expect(Math.min(...crowd.asked)).toBeLessThan(6000);
});

test("who was let in at the last moment is asked as well", async () => {
  const crowd = new Crowd(150, true);
  const drained = drainPeers(crowd.peers, { ...GRACE, connections: 150 });
  crowd.add();
  await drained;
  expect(crowd.asked).toHaveLength(151);
  expect(Math.max(...crowd.asked)).toBeLessThan(2500);
});

test("who stays is closed in waves, those with unsettled publishes last", async () => {
  const crowd = new Crowd(0, false);
  const publishing = crowd.add(1);
  for (let i = 0; i < 250; i++) crowd.add();
  await drainPeers(crowd.peers, {
    timeoutMs: 1000,
    graceMs: 0,
    connections: 251,
  });
  expect(crowd.closed).toHaveLength(251);
  expect(crowd.closed.at(-1)).toBe(publishing);
});
