import { expect, setDefaultTimeout, test } from "bun:test";
import { loadConfig, parseCommandLine } from "../../../src/config/load.ts";
import { startOnNats } from "../../../src/roomcast.ts";
import { Client } from "../../support/client.ts";
import { sample, sampleWhen, scrape } from "../../support/metrics.ts";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { NatsGateway } from "../../support/nats-gateway.ts";
import { Watchers } from "../../support/watchers.ts";
import { freshPrefix } from "./support.ts";

tellSkipped("health and metrics of a server over NATS");
setDefaultTimeout(60_000);

/** Asks until the answer has this status. */
async function becomes(url: string, status: number): Promise<unknown> {
  for (;;) {
    const response = await fetch(url);
    if (response.status === status) return await response.json();
    await Bun.sleep(20);
  }
}

test.skipIf(!natsServer).each([1, 2])(
  "with --threads %d a server without NATS is alive and not ready, says so in its metrics, and is ready again by itself",
  async (threads) => {
    await using servers = await NatsServers.start(1);
    await using gateway = await NatsGateway.start(
      servers.urls,
      freshPrefix(),
      ...["--threads", String(threads)],
    );
    const { http } = gateway;
    using bob = await Client.connect(gateway.url);
    await bob.join("r");
    await bob.say("r", "x");
    expect(await becomes(`${http}/health/ready`, 200)).toMatchObject({
      status: "ok",
    });
    const samples = await scrape(http);
    expect(sample(samples, "nats_up")).toBe(1);
    expect(sample(samples, "nats_in_flight")).toBe(0);
    expect(sample(samples, "nats_reconnects_total")).toBe(0);
    expect(sample(samples, "events_in_total")).toBe(1);
    // Commits are NATS's own.
    expect(
      [...samples.keys()].filter((name) => name.includes("commit")),
    ).toEqual([]);

    await servers.servers[0]!.kill();
    expect(await becomes(`${http}/health/ready`, 503)).toMatchObject({
      status: "unavailable",
    });
    expect((await fetch(`${http}/health/live`)).status).toBe(200);
    expect(sample(await scrape(http), "nats_up")).toBe(0);

    servers.servers[0]!.start();
    await becomes(`${http}/health/ready`, 200);
    const after = await sampleWhen(http, "nats_up", (up) => up === 1);
    expect(sample(after, "nats_reconnects_total")).toBe(1);
  },
);

test.skipIf(!natsServer)(
  "the log tells when NATS is gone and when it is back, once each",
  async () => {
    await using servers = await NatsServers.start(1);
    const log: { level: string; msg: string; reason?: string }[] = [];
    const watchers = new Watchers();
    const flags = [
      "--port",
      "0",
      "--host",
      "127.0.0.1",
      "--nats",
      servers.urls,
    ];
    const roomcast = await startOnNats(
      loadConfig(
        parseCommandLine([...flags, "--nats-prefix", freshPrefix()]),
        {},
      ),
      (reason) => {
        throw new Error(reason);
      },
      {
        write(line) {
          log.push(JSON.parse(line));
          watchers.changed();
        },
      },
    );
    await servers.servers[0]!.kill();
    await watchers.until(() => log.length > 0);
    servers.servers[0]!.start();
    await watchers.until(() => log.length > 1);
    expect(log).toMatchObject([
      {
        level: "error",
        msg: "messages cannot be stored, and are refused",
        reason: expect.stringContaining("NATS at "),
      },
      { level: "info", msg: "messages are stored again" },
    ]);
    await roomcast.drain();
    expect(log).toHaveLength(2);
  },
);
