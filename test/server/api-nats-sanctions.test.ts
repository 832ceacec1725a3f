import { expect, setDefaultTimeout, test } from "bun:test";
import { BackEnd, KEY, type Answered } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { NatsGateway } from "../support/nats-gateway.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { Proxy } from "../support/proxy.ts";

tellSkipped("bans and mutes of servers over NATS");
// Servers take seconds to start. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

const upgrade = async (http: string, session: string): Promise<number> => {
  const answer = await fetch(`${http}/chat?session=${session}`, {
    headers: {
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    },
    keepalive: false,
  });
  return answer.status;
};

/** Asks again until it is so: what is under way cannot be waited for otherwise. */
async function until(
  ask: () => Promise<Answered>,
  wanted: (answer: Answered) => boolean,
): Promise<Answered> {
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    await Bun.sleep(20);
  }
}

test.skipIf(!natsServer).each([1, 3])(
  "bans and mutes hold at all servers at once, and at those that start later, with %d threads",
  async (threads) => {
    await using nats = await NatsServers.start(1);
    const flags = ["--api-key", KEY, "--threads", `${threads}`];
    const start = (): Promise<NatsGateway> =>
      NatsGateway.start(nats.urls, "s", ...flags);
    await using one = await start();
    await using two = await start();
    const back = await BackEnd.at(one.http);
    const other = await BackEnd.at(two.http);
    using ann = await Client.connect(two.url, "json", "name=Ann");
    using bob = await Client.connect(one.url, "json", "room=r");
    const { session } = ann.welcome;
    const user = ann.user.id;
    await ann.join("r");
    await ann.join("other");
    const more: Client[] = [];
    for (const at of [one, two, one, two, one, two]) {
      const client = await Client.connect(
        at.url,
        "msgpack",
        `session=${session}`,
      );
      await client.join("r");
      more.push(client);
    }

    const mutes = await back.post("/rooms/r/mutes", { user, seconds: 600 });
    expect(mutes.body).toMatchObject({ user, connections: 7 });
    for (const client of [ann, ...more])
      expect(await client.say("r", "x")).toMatchObject({ code: "muted" });
    expect((await ann.say("other", "x")).action).toBe("message_sent");
    expect((await other.delete(`/rooms/r/mutes/${user}`)).status).toBe(204);
    expect((await back.delete(`/rooms/r/mutes/${user}`)).status).toBe(404);
    for (const client of [ann, ...more])
      expect((await client.say("r", "x")).action).toBe("message_sent");

    expect((await back.post("/rooms/r/bans", { user })).body).toEqual({
      user,
      until: null,
      connections: 7,
    });
    for (const client of [ann, ...more]) {
      expect(await client.nextAction("room_left")).toMatchObject({
        code: "banned",
      });
      expect(await client.join("r")).toMatchObject({ code: "banned" });
    }
    expect((await other.post("/bans", { user })).body.connections).toBe(7);
    for (const client of [ann, ...more])
      expect((await client.closed).code).toBe(4021);
    for (const { http } of [one, two])
      for (let i = 0; i < 2 * threads; i++)
        expect(await upgrade(http, session)).toBe(403);
    const posted = await back.post("/rooms/r/messages", { user, text: "x" });
    expect(posted.body.code).toBe("banned");

    {
      await using three = await start();
      const late = await BackEnd.at(three.http);
      expect(await upgrade(three.http, session)).toBe(403);
      for (const path of ["/bans", "/rooms/r/bans"])
        expect((await late.get(path)).body.users).toEqual([
          { user, until: null },
        ]);
      expect((await late.get("/rooms/r/mutes")).body.users).toEqual([]);
      expect((await late.delete(`/bans/${user}`)).status).toBe(204);
      expect((await late.delete(`/rooms/r/bans/${user}`)).status).toBe(204);
    }
    for (const { url } of [one, two]) {
      using again = await Client.connect(url, "json", `session=${session}`);
      expect((await again.join("r")).action).toBe("room_joined");
    }
    expect((await bob.request({ action: "ping" })).action).toBe("pong");
  },
);

test.skipIf(!natsServer)(
  "without NATS sanctions hold, others are refused and do not happen; after it they are known",
  async () => {
    await using nats = await NatsServers.start(1);
    const flags = ["--api-key", KEY];
    await using one = await NatsGateway.start(nats.urls, "s", ...flags);
    await using two = await NatsGateway.start(nats.urls, "s", ...flags);
    const back = await BackEnd.at(one.http);
    using ann = await Client.connect(one.url, "json", "room=r");
    using bob = await Client.connect(two.url, "json", "room=r");
    using eve = await Client.connect(one.url, "json", "room=r");
    for (const client of [ann, bob, eve])
      await client.nextAction("room_joined");
    await back.post("/bans", { user: eve.user.id });
    expect((await eve.closed).code).toBe(4021);
    const { session } = eve.welcome;

    await nats.servers[0]!.kill();
    // One asked for in the very moment may be answered that nobody knows.
    const away = (user: string): Promise<Answered> =>
      back.post("/bans", { user });
    await until(
      () => away("nobody"),
      ({ status }) => status === 503,
    );
    for (const { user } of [ann, bob])
      expect(await away(user.id)).toMatchObject({
        status: 503,
        body: { code: "unavailable", retry_after_ms: expect.any(Number) },
      });
    const lifted = await back.delete(`/bans/${eve.user.id}`);
    expect(lifted).toMatchObject({ status: 503 });
    for (const { http } of [one, two])
      expect(await upgrade(http, session)).toBe(403);
    const listed = (await back.get("/bans")).body.users;
    expect(listed).toEqual([{ user: eve.user.id, until: null }]);

    nats.servers[0]!.start();
    await nats.answer();
    await until(
      () => back.delete(`/bans/${eve.user.id}`),
      ({ status }) => status === 204 || status === 404,
    );
    for (const client of [ann, bob])
      expect((await client.request({ action: "ping" })).action).toBe("pong");
    await until(
      () => back.post("/bans", { user: bob.user.id }),
      ({ status }) => status === 200,
    );
    expect((await bob.closed).code).toBe(4021);
    expect((await ann.request({ action: "ping" })).action).toBe("pong");
  },
);

test.skipIf(!natsServer)(
  "a server that is cut off does what was asked for as soon as it is back",
  async () => {
    await using nats = await NatsServers.start(1);
    await using way = await Proxy.start(nats.servers[0]!.port);
    const flags = ["--api-key", KEY];
    await using one = await NatsGateway.start(nats.urls, "s", ...flags);
    await using two = await NatsGateway.start(
      `nats://127.0.0.1:${way.port}`,
      "s",
      ...flags,
    );
    const back = await BackEnd.at(one.http);
    using ann = await Client.connect(two.url, "json", "room=r");
    using eve = await Client.connect(two.url, "json", "room=r");
    for (const client of [ann, eve]) await client.nextAction("room_joined");
    await back.post("/mutes", { user: eve.user.id });
    expect((await eve.say("r", "x")).code).toBe("muted");

    way.refuse(true);
    way.cut();
    const answer = await back.post("/bans", { user: ann.user.id });
    // The other server lives, as far as is known, and did not say that it is done.
    expect(answer).toMatchObject({
      status: 504,
      body: { code: "outcome_unknown" },
    });
    // Once it counts as dead nobody waits for it.
    await until(
      () => back.delete(`/mutes/${eve.user.id}`),
      ({ status }) => status === 404,
    );
    expect((await eve.say("r", "x")).code).toBe("muted");
    expect((await ann.request({ action: "ping" })).action).toBe("pong");
    way.refuse(false);
    expect((await ann.closed).code).toBe(4021);
    // Both were read together.
    expect((await eve.say("r", "x")).code).not.toBe("muted");
  },
);

test.skipIf(!natsServer)(
  "the loss of the NATS server that leads loses no ban",
  async () => {
    await using nats = await NatsServers.start(3);
    const flags = ["--api-key", KEY, "--nats-replicas", "3"];
    await using one = await NatsGateway.start(nats.urls, "s", ...flags);
    await using two = await NatsGateway.start(nats.urls, "s", ...flags);
    const back = await BackEnd.at(one.http);
    const other = await BackEnd.at(two.http);
    using ann = await Client.connect(two.url);
    using bob = await Client.connect(two.url);
    const banned = await back.post("/bans", { user: ann.user.id });
    expect(banned.status).toBe(200);
    await (await nats.leaderOf("s-state")).kill();
    // While another is chosen nobody can say.
    await until(
      () => back.post("/bans", { user: bob.user.id }),
      ({ status }) => status === 200,
    );
    for (const client of [ann, bob])
      expect((await client.closed).code).toBe(4021);
    const users = [ann, bob].map(({ user }) => ({
      user: user.id,
      until: null,
    }));
    const { body } = await until(
      () => other.get("/bans"),
      ({ body }) => body.users.length === 2,
    );
    expect(body.users).toEqual(expect.arrayContaining(users));
    await until(
      () => other.delete(`/bans/${ann.user.id}`),
      ({ status }) => status === 204 || status === 404,
    );
    await until(
      () => back.get("/bans"),
      ({ body }) => body.users.length === 1,
    );
  },
);
