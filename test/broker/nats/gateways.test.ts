import { expect, spyOn, test, setDefaultTimeout } from "bun:test";
import { Link } from "../../../src/broker/nats/link.ts";
import { Client } from "../../support/client.ts";
import { Follower } from "../../support/follower.ts";
import { fullHistory } from "../../support/full-history.ts";
import { NatsGateway } from "../../support/nats-gateway.ts";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { Random, testSeed } from "../../support/random.ts";
import { freshPrefix } from "./support.ts";

tellSkipped("two gateways over NATS");
// Servers take seconds to start and to choose leaders. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

/** From now on live messages pass only where `passes` says so. */
const intercept = (passes: (link: Link) => boolean): Disposable => {
  const { listen } = Link.prototype;
  return spyOn(Link.prototype, "listen").mockImplementation(function (
    this: Link,
    subject,
    take,
  ) {
    return listen.call(this, subject, (message) => {
      // Answers come the same way.
      if (!subject.includes(".live.") || passes(this)) take(message);
    });
  });
};

test.skipIf(!natsServer)(
  "who comes from another gateway, and is ahead of this one, resumes in its place",
  async () => {
    await using servers = await NatsServers.start(1);
    let behind: Link | undefined;
    using _ = intercept((link) => link !== behind);
    const links: Link[] = [];
    const { open } = Link;
    using __ = spyOn(Link, "open").mockImplementation(async (...options) => {
      const link = await open.call(Link, ...options);
      links.push(link);
      return link;
    });
    const prefix = freshPrefix();
    await using one = await NatsGateway.start(servers.urls, prefix);
    const linksOfOne = links.length;
    await using two = await NatsGateway.start(servers.urls, prefix);
    using stays = await Client.connect(two.url);
    await stays.join("a");
    // The first link of a server is its events'.
    behind = links[linksOfOne];

    using comes = await Client.connect(one.url);
    const { epoch } = await comes.join("a");
    for (const text of ["1", "2", "3"]) await comes.say("a", text);
    const { seq } = await comes.say("a", "4");
    using back = await Client.connect(two.url);
    const joined = await back.join("a", { since: { epoch, seq } });
    expect(joined).toMatchObject({
      action: "room_joined",
      recovered: true,
      seq,
      messages: [],
    });
    const beyond = await back.join("a", { since: { epoch, seq: seq + 1 } });
    expect(beyond).toMatchObject({ recovered: false, seq });
  },
);

const ROOMS = ["red", "green", "blue"];
const STEPS = 800;

/**
 * Strict followers at two gateways, while every twentieth live message is lost on its way. They come back at either one:
 * then they may be ahead of what that gateway has heard.
 */
test.skipIf(!natsServer)(
  "at two gateways all see one log, though live messages are lost",
  async () => {
    const random = new Random(testSeed());
    await using servers = await NatsServers.start(1);
    using _ = intercept(() => !random.chance(0.05));
    const prefix = freshPrefix();
    const flags = [
      ...["--slice-members", "3", "--ring-events-per-room", "8"],
      ...["--max-history-per-reply", "7", "--max-messages-per-second", "0"],
      ...["--max-requests-per-second", "0"],
    ];
    await using one = await NatsGateway.start(servers.urls, prefix, ...flags);
    await using two = await NatsGateway.start(servers.urls, prefix, ...flags);
    const followers = Array.from(
      { length: 12 },
      (_, i) =>
        new Follower(
          `f${i}`,
          i % 2 ? "json" : "msgpack",
          () => random.pick([one, two]).url,
        ),
    );
    for (const follower of followers) {
      await follower.connect();
      for (const room of ROOMS) follower.join(room, true);
      await follower.until(() =>
        [...follower.rooms.values()].every(({ state }) => state === "in"),
      );
    }
    for (let step = 0; step < STEPS; step++) {
      const follower = random.pick(followers);
      const room = random.pick(ROOMS);
      const dice = random.next();
      if (dice < 0.6)
        for (let n = random.below(4); n >= 0; n--) follower.say(room);
      else if (dice < 0.7) follower.drop();
      else if (dice < 0.9) {
        if (!follower.connected) void follower.connect();
      } else if (dice < 0.93) follower.leave(room);
      else if (dice < 0.97) follower.comeBack(room);
      else follower.rejoin(room);
      // Lets frames arrive in between.
      if (random.chance(0.3)) await fetch(`${one.http}/health`);
    }
    for (const follower of followers) {
      if (!follower.connected) await follower.connect();
      await follower.until(() =>
        [...follower.rooms.values()].every(({ state }) => state !== "leaving"),
      );
      for (const room of ROOMS) follower.comeBack(room);
      await follower.until(
        () =>
          follower.unacked.length === 0 &&
          [...follower.rooms.values()].every(({ state }) => state === "in"),
      );
    }
    const context = `seed ${random.seed}`;
    for (const room of ROOMS) {
      // Everything sent is acked, and an ack moves its sender's position: this is the room's head. A gateway whose last live
      // message was lost comes to it a moment later, and so does its history.
      const head = Math.max(
        ...followers.map(({ rooms }) => rooms.get(room)!.position!),
      );
      for (const follower of followers)
        await follower.until(() => follower.rooms.get(room)!.position! >= head);
      const history = await fullHistory(one.url, room);
      expect(history.at(-1)!.seq, context).toBe(head);
      for (const follower of followers) {
        const followed = follower.rooms.get(room)!;
        expect(followed.log, `${context}: ${follower.name}`).toEqual(
          history
            .filter(({ seq }) => seq > followed.start)
            .map(({ seq, text }) => ({ seq, text })),
        );
        for (const [id, seq] of follower.acked) {
          const text = `${room} ${id}`;
          const stored = history.filter((event) => event.text === text);
          if (stored.length > 0)
            expect(stored.map((event) => event.seq)).toEqual([seq]);
        }
      }
    }
    expect(
      followers.flatMap(({ violations }) => violations),
      context,
    ).toEqual([]);
    expect(followers.reduce((sum, f) => sum + f.resumes, 0)).toBeGreaterThan(
      50,
    );
  },
);
