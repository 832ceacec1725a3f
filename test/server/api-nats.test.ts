import { expect, setDefaultTimeout, test } from "bun:test";
import { BackEnd, KEY } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { NatsGateway } from "../support/nats-gateway.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { event } from "./helpers.ts";

tellSkipped("the API of servers over NATS");
// Servers take seconds to start. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

test.skipIf(!natsServer).each([1, 3])(
  "a server over NATS speaks for all of them, with %d threads",
  async (threads) => {
    await using nats = await NatsServers.start(1);
    const flags = ["--api-key", KEY, "--threads", `${threads}`];
    await using one = await NatsGateway.start(nats.urls, "api", ...flags);
    await using two = await NatsGateway.start(nats.urls, "api", ...flags);
    const back = await BackEnd.at(one.http);
    using bob = await Client.connect(one.url, "json", "name=Bob&room=r");
    using ann = await Client.connect(two.url, "json", "name=Ann&room=r");
    using also = await Client.connect(two.url, "json", "name=Eve&room=other");
    for (const client of [bob, ann, also])
      await client.nextAction("room_joined");

    // Also with threads: events of others come to this server's.
    const heard = [event(bob, "r", "hi"), event(ann, "r", "hi")];
    const sent = await back.post("/rooms/r/messages", {
      user: "u",
      text: "hi",
    });
    expect(sent.status).toBe(201);
    for (const got of await Promise.all(heard))
      expect(got).toMatchObject({ seq: sent.body.seq, user: "u" });
    expect((await back.get("/rooms/r/messages")).body.messages).toHaveLength(1);

    // Also of rooms that nobody at this server is in.
    const rooms = [
      { room: "other", users: 1 },
      { room: "r", users: 2 },
    ];
    for (;;) {
      const { body } = await back.get("/rooms");
      if (Bun.deepEquals(body, { rooms, next: null })) break;
      await Bun.sleep(10);
    }
    expect((await back.get("/rooms?limit=1")).body).toEqual({
      rooms: rooms.slice(0, 1),
      next: "other",
    });
    expect((await back.get("/rooms/other/members")).body).toEqual({
      count: 1,
      members: [also.user],
      next: null,
    });
    expect((await back.get("/rooms/other")).body).toMatchObject({ users: 1 });
    expect((await back.get("/rooms/nowhere/members")).body.count).toBe(0);

    const user = ann.user.id;
    while (!(await back.get(`/users/${user}`)).body.online) await Bun.sleep(10);
    const path = `/rooms/r/members/${user}`;
    expect((await back.delete(path)).body).toEqual({ connections: 1 });
    expect(await ann.nextAction("room_left")).toMatchObject({
      code: "removed",
    });
    expect((await back.delete(path)).body).toEqual({ connections: 0 });
    expect((await back.delete(`/users/${user}/connections`)).body).toEqual({
      connections: 1,
    });
    expect((await ann.closed).code).toBe(4020);

    expect((await also.request({ action: "ping" })).action).toBe("pong");
  },
);
