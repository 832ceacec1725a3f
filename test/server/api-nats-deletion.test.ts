import { expect, setDefaultTimeout, test } from "bun:test";
import { RoomcastClient } from "../../src/client/index.ts";
import { BackEnd, KEY } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { NatsGateway } from "../support/nats-gateway.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { Proxy } from "../support/proxy.ts";
import { Random, testSeed } from "../support/random.ts";
import { losing, type Heard } from "../broker/nats/losing.ts";

tellSkipped("deletions at servers over NATS");
// Servers take seconds to start. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

const SECRET = "what-nobody-shall-read";
/** Of a room's log, and not of those that nodes send each other. */
const isEvent = ({ subject }: Heard): boolean => subject.includes(".live.");

const PATH = "/rooms/r/messages";

test.skipIf(!natsServer).each([1, 3])(
  "a message deleted at one server is gone at all, live, in history and for who comes back, with %d threads",
  async (threads) => {
    await using nats = await NatsServers.start(1);
    const flags = ["--api-key", KEY, "--threads", `${threads}`];
    await using one = await NatsGateway.start(nats.urls, "del", ...flags);
    await using two = await NatsGateway.start(nats.urls, "del", ...flags);
    const back = await BackEnd.at(one.http);
    const other = await BackEnd.at(two.http);
    const clients: Client[] = [];
    for (const { url } of [one, two])
      for (const format of ["json", "msgpack", "text"] as const)
        clients.push(await Client.connect(url, format, "room=r"));
    const readers = clients.filter((_, i) => i % 3 < 2);
    for (const client of readers) await client.nextAction("room_joined");
    const [ann] = readers as [Client];
    const { epoch, seq: first } = await ann.say("r", "first");
    const extra = { id: "k", data: { x: SECRET } };
    const { seq: target, ts } = await ann.say("r", SECRET, extra);
    const heard = clients.map((client) =>
      client.next(
        (m) => m.text === "third" || m.line === `[${ann.user.name}]: third`,
      ),
    );
    const { seq: third } = await ann.say("r", "third");
    await Promise.all(heard);
    // What is asked now is answered from a cache if it is asked again soon.
    const history = { action: "get_history", room: "r" };
    const pages = [{}, { before: third }, { after: first }];
    for (const client of readers)
      for (const page of pages) {
        const { messages } = await client.request({ ...history, ...page });
        expect(JSON.stringify(messages)).toContain(SECRET);
      }

    const deletions = readers.map((client) =>
      client.nextAction("message_deleted"),
    );
    expect((await back.delete(`${PATH}/${target}`)).status).toBe(204);
    const tombstone = {
      action: "message_deleted",
      room: "r",
      seq: target,
      target,
      ts,
    };
    // From now on, without waiting for anything.
    for (const client of readers)
      for (const page of pages) {
        const { messages } = await client.request({ ...history, ...page });
        expect(JSON.stringify(messages)).not.toContain(SECRET);
        expect(messages).toContainEqual(tombstone);
      }
    const [told, ...others] = await Promise.all(deletions);
    expect(told).toMatchObject({ room: "r", target });
    for (const also of others) expect(also).toEqual(told!);
    const rest = [tombstone, expect.objectContaining({ text: "third" }), told];
    for (const { http, url } of [one, two]) {
      const read = await (await BackEnd.at(http)).get(PATH);
      expect(read.body.messages.slice(1)).toEqual(rest);
      using late = await Client.connect(url);
      const joined = await late.join("r", { since: { epoch, seq: first } });
      expect(joined).toMatchObject({ recovered: true, messages: rest });
      // Who had nothing but what was deleted misses nothing.
      using had = await Client.connect(url);
      expect(
        await had.join("r", { since: { epoch, seq: target } }),
      ).toMatchObject({ recovered: true, messages: rest.slice(1) });
    }
    // A server that knows nothing of it yet.
    await using late = await NatsGateway.start(nats.urls, "del", ...flags);
    using fresh = await Client.connect(late.url);
    expect((await fresh.join("r", { history: 3 })).messages).toEqual(rest);
    using empty = await Client.connect(late.url);
    expect(await empty.join("r", { since: { epoch, seq: 0 } })).toMatchObject({
      recovered: true,
    });

    expect((await other.delete(`${PATH}/${target}`)).status).toBe(204);
    for (const nothing of [0, target + 99, told!.seq])
      expect((await other.delete(`${PATH}/${nothing}`)).status).toBe(404);
    expect(await ann.say("r", "again", { id: "k" })).toMatchObject({
      seq: target,
      duplicate: true,
    });
    for (const client of clients) client.close();
  },
);

test.skipIf(!natsServer)(
  "the answer comes when no server shows it any more, also where what tells of it was lost on its way",
  async () => {
    await using nats = await NatsServers.start(1);
    const flags = ["--api-key", KEY];
    await using one = await NatsGateway.start(nats.urls, "del", ...flags);
    let lose = false;
    using _ = losing(
      (msg) => lose && isEvent(msg) && msg.body.includes('"target"'),
    );
    await using two = await NatsGateway.start(nats.urls, "del", ...flags);
    const back = await BackEnd.at(one.http);
    using bob = await Client.connect(two.url);
    await bob.join("r");
    const { seq } = await bob.say("r", SECRET);
    lose = true;
    const told = bob.nextAction("message_deleted");
    expect((await back.delete(`${PATH}/${seq}`)).status).toBe(204);
    const ask = { action: "get_history", room: "r", after: 0 };
    const { messages } = await bob.request(ask);
    expect(messages).toMatchObject([{ seq, target: seq }]);
    // It is found when the ends of rooms are compared.
    expect(await told).toMatchObject({ target: seq });
  },
);

test.skipIf(!natsServer)(
  "where a server does not say that it has forgotten it, the answer is 504 until it does",
  async () => {
    await using nats = await NatsServers.start(1);
    const flags = ["--api-key", KEY];
    await using one = await NatsGateway.start(nats.urls, "del", ...flags);
    let lose = true;
    using _ = losing((msg) => lose && msg.body.includes('"bury"'));
    await using two = await NatsGateway.start(nats.urls, "del", ...flags);
    using bob = await Client.connect(two.url);
    await bob.join("r");
    const told = bob.nextAction("message_deleted");
    const { seq } = await bob.say("r", SECRET);
    const back = await BackEnd.at(one.http);
    expect(await back.delete(`${PATH}/${seq}`)).toMatchObject({
      status: 504,
      body: { code: "outcome_unknown" },
    });
    expect(await told).toMatchObject({ target: seq });
    lose = false;
    expect((await back.delete(`${PATH}/${seq}`)).status).toBe(204);
  },
);

test.skipIf(!natsServer)(
  "where NATS does not answer half way, it is told to be asked again",
  async () => {
    await using nats = await NatsServers.start(1);
    await using one = await NatsGateway.start(
      nats.urls,
      "del",
      "--api-key",
      KEY,
    );
    const back = await BackEnd.at(one.http);
    const { seq } = (await back.post(PATH, { user: "u", text: "x" })).body;
    await nats.servers[0]!.kill();
    expect(await back.delete(`${PATH}/${seq}`)).toMatchObject({
      status: 503,
      body: { code: "unavailable" },
    });
    nats.servers[0]!.start();
    while ((await back.delete(`${PATH}/${seq}`)).status !== 204)
      await Bun.sleep(50);
    expect((await back.get(PATH)).body.messages[0]).toMatchObject({
      action: "message_deleted",
      target: seq,
    });
  },
);

test.skipIf(!natsServer)(
  "clients that come back at either server end with what the room holds, whatever was deleted meanwhile",
  async () => {
    const seed = testSeed();
    const random = new Random(seed);
    await using nats = await NatsServers.start(1);
    using _ = losing((msg) => isEvent(msg) && random.chance(0.05));
    const flags = [
      ...["--api-key", KEY, "--ring-events-per-room", "8"],
      ...["--max-messages-per-second", "0"],
    ];
    const servers = [
      await NatsGateway.start(nats.urls, "del", ...flags),
      await NatsGateway.start(nats.urls, "del", ...flags),
    ];
    const backs = await Promise.all(
      servers.map(({ http }) => BackEnd.at(http)),
    );
    const proxies = await Promise.all(
      servers.map(({ roomcast }) => Proxy.start(roomcast.server.port!)),
    );
    const clients: RoomcastClient[] = [];
    const shown: Map<number, string>[] = [];
    const latest: (() => number)[] = [];
    for (const [i, format] of (["json", "msgpack"] as const).entries()) {
      const chat = new RoomcastClient(proxies[i]!.url, {
        format,
        name: format,
      });
      const room = await chat.join("r");
      const held = new Map<number, string>();
      room.on("message", ({ seq, text }) => held.set(seq, text));
      room.on("deleted", ({ target }) => held.delete(target));
      room.on("reset", () => {
        throw new Error(`seed ${seed}: nothing was trimmed`);
      });
      clients.push(chat);
      shown.push(held);
      latest.push(() => room.position!.seq);
    }
    const alive = new Map<number, string>();
    for (let step = 0; step < 120; step++) {
      if (random.chance(0.1)) random.pick(proxies).cut();
      const back = random.pick(backs);
      if (random.chance(0.4) && alive.size > 0) {
        const target = random.pick([...alive.keys()]);
        alive.delete(target);
        const { status } = await back.delete(`${PATH}/${target}`);
        expect(status, `seed ${seed}`).toBe(204);
      } else {
        const text = `m${step}`;
        const { seq } = (await back.post(PATH, { user: "u", text })).body;
        alive.set(seq, text);
      }
    }
    const last = (await backs[0]!.get("/rooms/r/messages?limit=1")).body
      .messages[0].seq;
    for (const at of latest) while (at() < last) await Bun.sleep(1);
    for (const held of shown)
      expect([...held].toSorted(), `seed ${seed}`).toEqual(
        [...alive].toSorted(),
      );
    await Promise.all(clients.map((client) => client.close()));
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    for (const server of servers) await server[Symbol.asyncDispose]();
  },
);
