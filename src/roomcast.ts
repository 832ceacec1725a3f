import type { Broker, Deliver } from "./broker/broker.ts";
import {
  EmbeddedBroker,
  type EmbeddedOptions,
} from "./broker/embedded/embedded.ts";
import { MemoryStore } from "./broker/embedded/memory-store.ts";
import { SqliteStore } from "./broker/embedded/sqlite-store.ts";
import type { Config } from "./config/options.ts";
import { DataFolder } from "./data/folder.ts";
import { AdmissionCount } from "./gateway/admission.ts";
import { drainPeers } from "./gateway/drain.ts";
import type { Origin } from "./gateway/entry.ts";
import { Gateway } from "./gateway/gateway.ts";
import { startHousekeeping } from "./gateway/housekeeping.ts";
import { LocalDirectory } from "./gateway/local-directory.ts";
import { serve, type ChatServer } from "./gateway/serve.ts";
import { Sessions } from "./gateway/sessions.ts";
import { GuestCounter, Users } from "./gateway/users.ts";
import { respondWithPage } from "./web/page.ts";

/** A running server. */
export interface Roomcast {
  readonly server: ChatServer;
  readonly gateway: Gateway;
  /** Sends everybody away in good order, stores what is in flight, lets go of port and files. */
  drain(): Promise<void>;
}

const DAY_MS = 86_400_000;
/** From how many events a millisecond on commits are paced: a synced commit is ten times as dear. */
const BUSY_EVENTS_PER_MS = { normal: 3, full: 0.5 };

/**
 * Puts the parts together and starts listening.
 * @throws DataFolderError the data folder cannot be used
 */
export function startRoomcast(config: Config): Roomcast {
  const folder =
    config.history === "sqlite" ? DataFolder.open(config.data) : undefined;
  const embedded: EmbeddedOptions = {
    ...config,
    busyEventsPerMs: BUSY_EVENTS_PER_MS[config.durability],
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
  const deliver: Deliver<Origin> = (event, origin) =>
    gateway.deliver(event, origin);
  let broker: Broker<Origin>;
  if (folder) {
    const store = new SqliteStore({
      ...retention,
      moveIntervalMs: config.moveIntervalMs,
      logFile: folder.file("log"),
      historyFile: folder.file("history"),
      durability: config.durability,
      onFailure: (message) =>
        console.error(`roomcast: the store fails: ${message}`),
    });
    const embeddedBroker = new EmbeddedBroker(store, deliver, embedded);
    store.gate = embeddedBroker;
    broker = embeddedBroker;
  } else
    broker = new EmbeddedBroker(
      new MemoryStore({ ...retention, maxBytes: config.memoryHistoryBytes }),
      deliver,
      embedded,
    );

  const guests = new GuestCounter(folder?.readGuestCounter() ?? 0, (next) =>
    folder?.writeGuestCounter(next),
  );
  const directory = new LocalDirectory(
    new AdmissionCount(config.maxConnections, config.maxConnectionsPerAddress),
    new Users(guests),
    {
      presenceChanged: (room, change) => gateway.presenceChanged(room, change),
    },
  );
  const gateway: Gateway = new Gateway(
    config,
    broker,
    directory,
    (topic, frame, compress) => server.publish(topic, frame, compress),
  );
  const key =
    config.sessionKey ||
    folder?.sessionKey() ||
    crypto.getRandomValues(new Uint8Array(32));
  let draining = false;
  const server = serve({
    config,
    gateway,
    sessions: new Sessions(key, config.sessionDays),
    draining: () => draining,
    otherwise: config.page === "on" ? respondWithPage : () => undefined,
  });
  const housekeeping = startHousekeeping(gateway);

  async function drain(): Promise<void> {
    draining = true;
    await drainPeers(gateway.peers, {
      // The rest is for the store to finish.
      timeoutMs: config.drainTimeoutMs * 0.7,
      graceMs: Math.min(config.drainGraceMs, config.drainTimeoutMs / 2),
    });
    clearInterval(housekeeping);
    await broker.flush();
    await server.stop(true);
    await broker.close();
    guests.close();
    folder?.close();
  }

  return { server, gateway, drain };
}
