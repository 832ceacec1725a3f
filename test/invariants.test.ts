import { expect, test, setDefaultTimeout } from "bun:test";
import { Follower } from "./support/follower.ts";
import { fullHistory } from "./support/full-history.ts";
import { Random, testSeed } from "./support/random.ts";
import { InProcessServer, NATS } from "./support/server.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/**
 * Seeded random runs: many strict followers join, leave, rejoin, drop and come back while all talk. Slices, ring, replies
 * and read pages are made small, so that every path is taken: joins in the middle of slices, cut replies, reads from
 * storage.
 */
const SMALL = [
  [
    "--slice-members",
    "3",
    "--ring-events-per-room",
    "8",
    "--max-history-per-reply",
    "7",
  ],
  ["--slice-members", "1", "--ring-events-per-room", "1000"],
  [
    "--slice-members",
    "2",
    "--ring-events-per-room",
    "1",
    "--max-reply-bytes",
    "1024",
    "--history",
    "memory",
  ],
];
const OFF = [
  "--max-messages-per-second",
  "0",
  "--max-requests-per-second",
  "0",
  "--max-connections-per-address",
  "0",
];
const ROOMS = ["red", "green", "blue"];
/** At least: where joins take longer, fewer of them find a member, and there are more. */
const STEPS = 1500;

test.each(SMALL)(
  "in order, no gap, no double, every ack in history (%p)",
  async (...flags) => {
    const random = new Random(testSeed());
    await using server = await InProcessServer.start(...OFF, ...flags);
    const followers = Array.from(
      { length: 16 },
      (_, i) =>
        new Follower(
          `f${i}`,
          i % 2 ? "json" : "msgpack",
          () => server.url,
          NATS !== "",
        ),
    );
    for (const follower of followers) {
      await follower.connect();
      for (const room of ROOMS)
        if (random.chance(0.7)) follower.join(room, random.chance(0.6));
    }
    const sum = (count: (follower: Follower) => number): number =>
      followers.reduce((total, follower) => total + count(follower), 0);
    /** Whether the run has been about something. */
    const enough = (): boolean =>
      sum((f) => f.acked.size) > 500 &&
      sum((f) => f.resumes) > 50 &&
      sum((f) => f.duplicates) > 0;
    for (let step = 0; step < STEPS || !enough(); step++) {
      const follower = random.pick(followers);
      const room = random.pick(ROOMS);
      const dice = random.next();
      if (dice < 0.6)
        for (let n = random.below(6); n >= 0; n--) follower.say(room);
      else if (dice < 0.7) follower.drop();
      else if (dice < 0.85) {
        if (!follower.connected) void follower.connect();
      } else if (dice < 0.88) follower.leave(room);
      else if (dice < 0.93) follower.comeBack(room);
      else if (dice < 0.97) follower.rejoin(room);
      else follower.join(room, random.chance(0.5));
      // Lets frames arrive in between, now many, now few.
      if (random.chance(0.3))
        await Promise.all(
          followers.map((f) => f.connected && roundTrip(server)),
        );
    }
    await finish(followers);

    const context = `seed ${random.seed}`;
    expect(
      followers.flatMap((f) => f.violations),
      context,
    ).toEqual([]);
    for (const name of ROOMS) {
      const history = await fullHistory(server.url, name);
      const texts = history.map((e) => e.text);
      expect(
        new Set(texts).size,
        `${context}: ${name} holds a message twice`,
      ).toBe(texts.length);
      const bySeq = new Map(history.map((e) => [e.seq, e]));
      for (const follower of followers) {
        const room = follower.rooms.get(name);
        if (!room) continue;
        const expected = history
          .filter((e) => e.seq > room.start)
          .map((e) => e.text);
        expect(
          room.log.map((e) => e.text),
          `${context}: ${follower.name} in ${name}`,
        ).toEqual(expected);
      }
      for (const follower of followers)
        for (const [id, seq] of follower.acked) {
          const text = `${name} ${id}`;
          if (texts.includes(text))
            expect(bySeq.get(seq)?.text, context).toBe(text);
        }
    }
    const stored = (
      await Promise.all(ROOMS.map((name) => fullHistory(server.url, name)))
    ).flat().length;
    expect(stored, context).toBe(sum((f) => f.acked.size));
    expect(enough()).toBe(true);
  },
);

/** A turn through the network and back. */
async function roundTrip(server: InProcessServer): Promise<void> {
  await fetch(`${server.http}/health`);
}

/** Everybody comes back, sends what was not acked, and gets all there is. */
async function finish(followers: readonly Follower[]): Promise<void> {
  for (const follower of followers) {
    if (!follower.connected) await follower.connect();
    await follower.until(() =>
      [...follower.rooms.values()].every((room) => room.state !== "leaving"),
    );
    for (const name of follower.rooms.keys()) follower.comeBack(name);
    await follower.until(() =>
      [...follower.rooms.values()].every((room) => room.state === "in"),
    );
    await follower.until(() => follower.unacked.length === 0);
  }
  for (const name of ROOMS) {
    const inside = followers
      .map((f) => f.rooms.get(name))
      .filter((room) => room !== undefined);
    const head = Math.max(0, ...inside.map((room) => room.position!));
    for (const follower of followers)
      if (follower.rooms.has(name))
        await follower.until(() => follower.rooms.get(name)!.position! >= head);
  }
}
