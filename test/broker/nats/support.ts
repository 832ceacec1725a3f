import { NatsBroker, type NatsOptions } from "../../../src/broker/nats/nats.ts";
import type { BrokerUnderTest } from "../contract.ts";
import type { NatsServers } from "../../support/nats.ts";
import { Watchers } from "../../support/watchers.ts";

export const OPTIONS: Omit<NatsOptions, "urls" | "prefix"> = {
  creds: "",
  ca: "",
  streams: 1,
  replicas: 1,
  retentionMs: Infinity,
  retentionEventsPerRoom: Infinity,
  dedupeWindowMs: 120_000,
  maxInFlight: 256,
  maxInFlightBytes: 8 * 1024 * 1024,
  maxUnsettled: 20_000,
  timeoutMs: 5000,
  recentIds: 0,
};

let prefixes = 0;

/** A prefix that no other test uses: each has streams of its own on shared servers. */
export const freshPrefix = (): string => `t${++prefixes}`;

export interface NatsBrokerUnderTest extends BrokerUnderTest {
  readonly broker: NatsBroker<string>;
  readonly told: readonly string[];
  /** Resolves when `reached` holds; it is looked at after every delivery. */
  until(reached: () => boolean): Promise<void>;
  /** Resolves with the reason when the broker says that it cannot go on. */
  readonly ended: Promise<string>;
}

export async function openBroker(
  servers: Pick<NatsServers, "urls">,
  options: Partial<NatsOptions> = {},
): Promise<NatsBrokerUnderTest> {
  const delivered: BrokerUnderTest["delivered"][number][] = [];
  const told: string[] = [];
  const watchers = new Watchers();
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  const broker = await NatsBroker.open<string>(
    { ...OPTIONS, urls: servers.urls, prefix: freshPrefix(), ...options },
    (event, origin) => {
      delivered.push({ event, origin });
      watchers.changed();
    },
    { tell: (message) => told.push(message), onEnd: resolve },
  );
  return {
    broker,
    delivered,
    told,
    ended,
    until: (reached) => watchers.until(reached),
    async [Symbol.asyncDispose]() {
      await broker.close();
    },
  };
}
