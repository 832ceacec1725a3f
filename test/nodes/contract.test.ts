import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import { AdmissionCount } from "../../src/gateway/admission.ts";
import { directoryContract } from "../gateway/directory-contract.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { freshPrefix, openDirectory } from "./support.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

tellSkipped("the contract of directories, for a node over NATS");

describe.skipIf(!natsServer)("a node over NATS", () => {
  let servers: NatsServers;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
  });
  afterAll(() => servers?.[Symbol.asyncDispose]());

  directoryContract(async (limits, listener) => {
    const directory = await openDirectory(
      { urls: servers.urls, prefix: freshPrefix() },
      new AdmissionCount(...limits),
      listener,
    );
    return { directory, close: () => directory.close() };
  });
});
