import {
  EmbeddedBroker,
  type EmbeddedOptions,
} from "../broker/embedded/embedded.ts";
import { MemoryStore } from "../broker/embedded/memory-store.ts";
import { SqliteStore } from "../broker/embedded/sqlite-store.ts";
import type { Logger } from "../logging/logger.ts";
import type { Config } from "../config/options.ts";
import { DataFolder } from "../data/folder.ts";
import { SanctionsFile, UNKEPT } from "../data/sanctions-file.ts";
import { AdmissionCount } from "../gateway/admission.ts";

import { LocalDirectory } from "../gateway/local-directory.ts";
import { GuestCounter, Users } from "../gateway/users.ts";
import { webhookFigures, withWebhooks } from "../webhooks/webhooks.ts";
import type { Backend, BackendListener } from "./backend.ts";

const DAY_MS = 86_400_000;
/** From how many events a millisecond on commits are paced: a synced commit is ten times as dear. */
const BUSY_EVENTS_PER_MS = { normal: 3, full: 0.5 };

/** Everything in this process, in a data folder or in memory. Its directory answers at once. */
export interface EmbeddedBackend<From> extends Backend<From> {
  readonly directory: LocalDirectory;
}

/** @throws DataFolderError the data folder cannot be used */
export function openEmbedded<From>(
  config: Config,
  listener: BackendListener<From>,
  logger: Logger,
): EmbeddedBackend<From> {
  const folder =
    config.history === "sqlite" ? DataFolder.open(config.data) : undefined;
  const guests = new GuestCounter(folder?.readGuestCounter() ?? 0, (next) =>
    folder?.writeGuestCounter(next),
  );
  const sessionKey =
    config.sessionKey ||
    folder?.sessionKey() ||
    crypto.getRandomValues(new Uint8Array(32));
  const embedded = openBroker(config, folder, listener, logger);
  const broker = withWebhooks(
    embedded,
    config,
    (draft) => listener.hindrance(draft),
    (message) => logger.warn(message),
  );
  const directory = new LocalDirectory(
    new AdmissionCount(config.maxConnections, config.maxConnectionsPerAddress),
    new Users(guests, (error) =>
      logger.error({ err: error }, "the guest counter fails"),
    ),
    listener,
  );
  return {
    broker,
    directory,
    roster: directory,
    reach: (here) => here,
    sanctions: folder ? new SanctionsFile(folder.file("sanctions")) : UNKEPT,
    sessionKey,
    historyIn: folder ? config.data : "memory",
    commits: embedded.commits,
    nats: undefined,
    get webhooks() {
      return webhookFigures(broker);
    },
    async close() {
      await broker.close();
      guests.close();
      folder?.close();
    },
  };
}

function openBroker<From>(
  config: Config,
  folder: DataFolder | undefined,
  { deliver }: BackendListener<From>,
  logger: Logger,
): EmbeddedBroker<From> {
  const options: EmbeddedOptions = {
    ...config,
    busyEventsPerMs: BUSY_EVENTS_PER_MS[config.durability],
    onOutage: (reason) =>
      logger.error({ reason }, "messages cannot be stored, and are refused"),
    onRecovery: () => logger.info("messages are stored again"),
  };
  const retention = {
    dedupeWindowMs: Math.min(
      config.dedupeWindowMs,
      config.retentionDays * DAY_MS,
    ),
    dedupeMaxKeys: config.dedupeMaxKeys,
    retentionMs: config.retentionDays * DAY_MS,
    retentionEventsPerRoom: config.retentionEventsPerRoom,
  };
  if (!folder)
    return new EmbeddedBroker(
      new MemoryStore({ ...retention, maxBytes: config.memoryHistoryBytes }),
      deliver,
      options,
    );
  const store = new SqliteStore({
    ...retention,
    moveIntervalMs: config.moveIntervalMs,
    logFile: folder.file("log"),
    historyFile: folder.file("history"),
    durability: config.durability,
    onFailure: (message) =>
      logger.error({ reason: message }, "the store fails"),
  });
  const broker = new EmbeddedBroker(store, deliver, options);
  store.gate = broker;
  return broker;
}
