import { NatsBroker } from "../broker/nats/nats.ts";
import type { LinkOptions } from "../broker/nats/link.ts";
import type { Config } from "../config/options.ts";
import { AdmissionCount } from "../gateway/admission.ts";
import { LocalDirectory } from "../gateway/local-directory.ts";
import { GuestCounter, Users } from "../gateway/users.ts";
import { withWebhooks } from "../webhooks/webhooks.ts";
import { tell, type Backend, type BackendListener } from "./backend.ts";

const DAY_MS = 86_400_000;
/** What waits in memory for NATS, beside `--nats-max-in-flight`. */
const MAX_IN_FLIGHT_BYTES = 8 * 1024 * 1024;

/**
 * Events in NATS JetStream, and everybody counted who is connected to a server of the same `--nats-prefix`. It keeps no
 * file here.
 * @param onEnd told once, when the store is not the one of the start any more: this process must end
 * @throws NatsError NATS is not there, refuses, or its streams are not fit for use
 */
export async function openNats<From>(
  config: Config,
  listener: BackendListener<From>,
  onEnd: (reason: string) => void,
): Promise<Backend<From>> {
  const link: LinkOptions = {
    urls: config.nats,
    creds: config.natsCreds,
    ca: config.natsCa,
  };
  const retentionMs = config.retentionDays * DAY_MS;
  const nats = await NatsBroker.open<From>(
    {
      ...link,
      prefix: config.natsPrefix,
      streams: config.natsStreams,
      replicas: config.natsReplicas,
      retentionMs,
      retentionEventsPerRoom: config.retentionEventsPerRoom,
      dedupeWindowMs: Math.min(config.dedupeWindowMs, retentionMs),
      maxInFlight: config.natsMaxInFlight,
      maxInFlightBytes: MAX_IN_FLIGHT_BYTES,
      maxUnsettled: config.maxUncommittedEvents,
      timeoutMs: config.natsTimeoutMs,
    },
    listener.deliver,
    { tell, onEnd },
  );
  const broker = withWebhooks(nats, config, tell);
  const directory = new LocalDirectory(
    new AdmissionCount(config.maxConnections, config.maxConnectionsPerAddress),
    new Users(new GuestCounter(0, () => {})),
    listener,
  );
  return {
    broker,
    directory,
    sessionKey: config.sessionKey || crypto.getRandomValues(new Uint8Array(32)),
    historyIn: `NATS at ${nats.servers}`,
    close: () => broker.close(),
  };
}
