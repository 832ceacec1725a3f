import { expect, test, setDefaultTimeout } from "bun:test";
import { Follower } from "./support/follower.ts";
import { fullHistory } from "./support/full-history.ts";
import { Random, testSeed } from "./support/random.ts";
import { ServerProcess, TempFolder } from "./support/server.ts";

// Starts 23 servers, one after another: this only ends what hangs.
setDefaultTimeout(180_000);

const ROOMS = ["red", "green"];
const KILLS = 22;
const FLAGS = [
  "--max-messages-per-second",
  "0",
  "--max-requests-per-second",
  "0",
  "--max-connections-per-address",
  "0",
  "--slice-members",
  "3",
  // The mover and its checkpoints are to be hit too.
  "--move-interval-ms",
  "20",
];

test.each(["normal", "full"])(
  "every acknowledged message is there once after each kill -9 under load (--durability %s)",
  async (durability) => {
    const random = new Random(testSeed());
    using folder = new TempFolder();
    const start = (port = "0"): Promise<ServerProcess> =>
      ServerProcess.start(
        folder.path,
        "--durability",
        durability,
        "--port",
        port,
        ...FLAGS,
      );
    let server = await start();
    const port = String(server.port);
    const followers = Array.from(
      { length: 8 },
      (_, i) =>
        new Follower(`f${i}`, i % 2 ? "json" : "msgpack", () => server.url),
    );
    try {
      for (const follower of followers) {
        await follower.connect();
        for (const room of ROOMS) follower.join(room, random.chance(0.5));
      }
      for (let kill = 0; kill < KILLS; kill++) {
        await Promise.all(followers.map(comeBack));
        const deadline = acks(followers) + 1 + random.below(300);
        // Each answer is answered by new messages, until so many acks have come; then it dies in the middle.
        await Promise.all(
          followers.map((follower) =>
            follower.until(() => {
              if (acks(followers) >= deadline) return true;
              while (follower.unacked.length < 20 && follower.connected)
                if (!follower.say(random.pick(ROOMS))) break;
              return false;
            }),
          ),
        );
        expect(await server.signal("SIGKILL")).not.toBe(0);
        await Promise.all(
          followers.map((follower) =>
            follower.until(() => !follower.connected),
          ),
        );
        server = await start(port);
      }
      await Promise.all(followers.map(comeBack));
      await Promise.all(
        followers.map((f) => f.until(() => f.unacked.length === 0)),
      );

      const context = `seed ${random.seed}`;
      const histories = new Map<
        string,
        Awaited<ReturnType<typeof fullHistory>>
      >();
      for (const room of ROOMS)
        histories.set(room, await fullHistory(server.url, room));
      for (const [name, history] of histories) {
        const head = history.at(-1)!.seq;
        await Promise.all(
          followers.map((f) =>
            f.until(() => f.rooms.get(name)!.position! >= head),
          ),
        );
        expect(
          history.map((e) => e.seq),
          context,
        ).toEqual(history.map((_, i) => i + 1));
        for (const follower of followers) {
          const room = follower.rooms.get(name)!;
          expect(
            room.log.map((e) => e.text),
            `${context}: ${follower.name} in ${name}`,
          ).toEqual(
            history.filter((e) => e.seq > room.start).map((e) => e.text),
          );
        }
      }
      expect(
        followers.flatMap((f) => f.violations),
        context,
      ).toEqual([]);
      const all = [...histories.values()].flat();
      const times = new Map<string, number>();
      for (const event of all)
        times.set(event.id, (times.get(event.id) ?? 0) + 1);
      for (const follower of followers)
        for (const [id, seq] of follower.acked) {
          expect(times.get(id), `${context}: ${id} in history`).toBe(1);
          expect(
            all.some((e) => e.id === id && e.seq === seq),
            `${context}: ${id} at ${seq}`,
          ).toBe(true);
        }
      expect(all.length, context).toBe(acks(followers));
    } finally {
      for (const follower of followers) follower.drop();
      await server[Symbol.asyncDispose]();
    }
  },
);

function acks(followers: readonly Follower[]): number {
  return followers.reduce((sum, follower) => sum + follower.acked.size, 0);
}

async function comeBack(follower: Follower): Promise<void> {
  if (!follower.connected) expect(await follower.connect()).toBe(true);
  await follower.until(() =>
    [...follower.rooms.values()].every((room) => room.state === "in"),
  );
}
