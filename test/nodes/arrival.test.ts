import { expect, setDefaultTimeout, test } from "bun:test";
import { freshPrefix } from "../broker/nats/support.ts";
import { Client } from "../support/client.ts";
import { NatsGateway } from "../support/nats-gateway.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { Proxy } from "../support/proxy.ts";

tellSkipped("joins that take long");
// The preload's reaches only the first file of a run (Bun 1.4.5).
setDefaultTimeout(60_000);

test.skipIf(!natsServer)(
  "who waits for history while the room is told of it hears of its own coming, and once",
  async () => {
    await using servers = await NatsServers.start(1);
    const prefix = freshPrefix();
    await using other = await NatsGateway.start(servers.urls, prefix);
    using carl = await Client.connect(other.url);
    await carl.join("r");
    await carl.say("r", "before this gateway heard of the room");

    await using line = await Proxy.start(servers.servers[0]!.port);
    await using gateway = await NatsGateway.start(
      `nats://127.0.0.1:${line.port}`,
      prefix,
    );
    using bob = await Client.connect(gateway.url, "json", "name=Bob");
    await bob.join("r");
    using ann = await Client.connect(gateway.url, "json", "name=Ann");
    line.holdAnswers();
    const joining = ann.join("r", { history: 1 });
    const coming = (client: Client) =>
      client.next(
        (m) =>
          m.action === "members_changed" &&
          m.joined.some(({ id }: { id: string }) => id === ann.user.id),
      );
    await coming(bob);
    expect(ann.received.map(({ action }) => action)).toEqual(["welcome"]);
    line.flow();
    expect(await joining).toMatchObject({ count: 3 });
    expect(await coming(ann)).toEqual({
      action: "members_changed",
      room: "r",
      joined: [ann.user],
      left: [],
      count: 3,
    });
    // Nothing more: what comes and goes next is told alone.
    bob.close();
    expect(await ann.nextAction("members_changed")).toMatchObject({
      joined: [],
      left: [bob.user],
    });
  },
);
