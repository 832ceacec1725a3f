import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { brokerContract } from "./contract.ts";
import { openBroker } from "./nats/support.ts";

tellSkipped("the broker's contract over NATS");
// Servers take seconds to start and to choose leaders. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

describe.skipIf(!natsServer).each([
  { servers: 1, replicas: 1, streams: 1 },
  { servers: 3, replicas: 3, streams: 3 },
])(
  "with $servers servers, $streams streams",
  ({ servers: count, replicas, streams }) => {
    let servers: NatsServers;
    beforeAll(async () => {
      servers = await NatsServers.start(count);
    });
    afterAll(() => servers[Symbol.asyncDispose]());

    brokerContract("the NATS broker", () =>
      openBroker(servers, { replicas, streams }),
    );
  },
);
