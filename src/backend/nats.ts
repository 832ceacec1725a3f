import { NatsBroker } from "../broker/nats/nats.ts";
import { NatsError, type LinkOptions } from "../broker/nats/link.ts";
import { BrokerError } from "../broker/broker.ts";
import type { Logger } from "../logging/logger.ts";
import type { Config } from "../config/options.ts";
import { AdmissionCount } from "../gateway/admission.ts";
import type { Reach } from "../gateway/orders.ts";
import { DEAD_AFTER_MS, NodeDirectory } from "../nodes/node-directory.ts";
import type { Command } from "../nodes/commands.ts";
import { SharedSanctions } from "../nodes/shared-sanctions.ts";
import { newNodeId } from "../nodes/subjects.ts";
import { WideRoster, answerQuestion } from "../nodes/wide-roster.ts";
import { webhookFigures, withWebhooks } from "../webhooks/webhooks.ts";
import type { Backend, BackendListener } from "./backend.ts";
import { logReadiness } from "./readiness.ts";

const DAY_MS = 86_400_000;
/** What waits in memory for NATS, beside `--nats-max-in-flight`. */
const MAX_IN_FLIGHT_BYTES = 8 * 1024 * 1024;
/** Messages' ids that need not be asked about again: some 20 MB. */
const MAX_RECENT_IDS = 100_000;

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
  logger: Logger,
): Promise<Backend<From>> {
  const link: LinkOptions = {
    urls: config.nats,
    creds: config.natsCreds,
    ca: config.natsCa,
  };
  const tell = (message: string): void => logger.warn(message);
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
      // Only they ask for repeats.
      recentIds: config.beforeSendUrl ? MAX_RECENT_IDS : 0,
    },
    listener.deliver,
    { tell, onEnd },
  );
  const broker = withWebhooks(
    nats,
    config,
    (draft) => listener.hindrance(draft),
    tell,
  );
  let directory: NodeDirectory | undefined;
  let sanctions: SharedSanctions | undefined;
  let here: Reach | undefined;
  const carryOut = (command: Command): unknown => {
    switch (command.act) {
      case "look":
        return sanctions?.look(command.seq) ?? 0;
      case "rooms":
      case "members":
        return directory && answerQuestion(directory, command);
      default:
        return here?.carryOut(command) ?? 0;
    }
  };
  try {
    directory = await NodeDirectory.open(
      {
        ...link,
        prefix: config.natsPrefix,
        node: newNodeId(),
        replicas: config.natsReplicas,
        deadAfterMs: DEAD_AFTER_MS,
      },
      new AdmissionCount(
        config.maxConnections,
        config.maxConnectionsPerAddress,
      ),
      listener,
      { tell, onEnd, onCommand: carryOut },
    );
    const nodes = directory;
    sanctions = new SharedSanctions(
      nodes.sanctions,
      (command) => carryOutAtAll(nodes, command),
      tell,
    );
    await sanctions.load().catch((error: Error) => {
      throw new NatsError(`bans and mutes cannot be read: ${error.message}`);
    });
    const unwatch = logReadiness(
      () => nats.ready,
      logger,
      `NATS at ${nats.servers} is not there, or does not take them`,
    );
    return {
      broker,
      directory,
      roster: new WideRoster(nodes),
      reach(reach) {
        here = reach;
        return { carryOut: (order) => carryOutAtAll(nodes, order) };
      },
      sanctions,
      sessionKey: config.sessionKey || (await nodes.sharedSessionKey()),
      commits: undefined,
      get nats() {
        return nats.figures;
      },
      get webhooks() {
        return webhookFigures(broker);
      },
      historyIn: `NATS at ${nats.servers}`,
      async close() {
        unwatch();
        await broker.flush();
        // The other nodes need not wait for silence to know that nobody is here any more.
        await nodes.close();
        await broker.close();
      },
    };
  } catch (error) {
    await directory?.close();
    await broker.close();
    throw error;
  }
}

/**
 * @returns connections at all nodes that it was about
 * @throws BrokerError (as a rejection) a node did not answer
 */
async function carryOutAtAll(
  directory: NodeDirectory,
  command: Command,
): Promise<number> {
  const { replies, missing } = await directory.broadcast(command);
  let reached = 0;
  let failed = missing.length;
  for (const reply of replies.values())
    if (typeof reply === "number") reached += reply;
    else failed++;
  if (failed > 0)
    throw new BrokerError(
      "outcome_unknown",
      `${failed} of the servers did not say that it is done: ask again`,
    );
  return reached;
}
