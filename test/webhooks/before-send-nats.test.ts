import { expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../support/client.ts";
import { NatsGateway } from "../support/nats-gateway.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { Application, SECRET } from "./application.ts";

tellSkipped("webhooks of servers over NATS");
// Servers take seconds to start. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

test.skipIf(!natsServer)(
  "what is stored already is acknowledged again at every server that heard it, whatever the application says now",
  async () => {
    using application = new Application();
    await using nats = await NatsServers.start(1);
    const start = (): Promise<NatsGateway> =>
      NatsGateway.start(
        nats.urls,
        "hook",
        ...["--before-send-url", application.url, "--webhook-secret", SECRET],
      );
    await using one = await start();
    await using two = await start();
    using bob = await Client.connect(two.url);
    await bob.join("a");
    using ann = await Client.connect(one.url);
    await ann.join("a");
    const heard = bob.nextAction("receive_message");
    const { seq, ts } = await ann.say("a", "hi", { id: "k" });
    await heard;
    application.answer = () => ({ refuse: "no" });
    const repeated = { seq, ts, duplicate: true };
    expect(await ann.say("a", "hi", { id: "k" })).toMatchObject(repeated);
    const session = `session=${ann.welcome.session}`;
    {
      using back = await Client.connect(two.url, "json", session);
      await back.join("a");
      expect(await back.say("a", "hi", { id: "k" })).toMatchObject(repeated);
      expect(application.asked).toHaveLength(1);
      // Another user's is another message.
      expect(await bob.say("a", "hi", { id: "k" })).toMatchObject({
        code: "refused",
      });
      expect(application.asked).toHaveLength(2);
    }

    // One that was not there: it asks, and NATS knows the id.
    await using late = await start();
    using back = await Client.connect(late.url, "json", session);
    await back.join("a");
    application.answer = () => ({});
    expect(await back.say("a", "hi", { id: "k" })).toMatchObject(repeated);
    expect(application.asked).toHaveLength(3);
    // Now it knows, too.
    expect(await back.say("a", "hi", { id: "k" })).toMatchObject(repeated);
    expect(application.asked).toHaveLength(3);
  },
);
