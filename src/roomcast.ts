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
import type { DirectoryListener } from "./gateway/directory.ts";
import { drainPeers, type DrainOptions } from "./gateway/drain.ts";
import type { Origin } from "./gateway/entry.ts";
import { Gateway } from "./gateway/gateway.ts";
import { startHousekeeping } from "./gateway/housekeeping.ts";
import { LocalDirectory } from "./gateway/local-directory.ts";
import { serve } from "./gateway/serve.ts";
import { Sessions } from "./gateway/sessions.ts";
import { GuestCounter, Users } from "./gateway/users.ts";
import { Hub } from "./threads/hub.ts";
import type { GatewayFigures } from "./threads/link.ts";
import { Threads } from "./threads/threads.ts";
import { pageIf } from "./web/page.ts";

/** A running server. */
export interface Roomcast {
  /** Where it listens. */
  readonly server: { readonly hostname: string; readonly port: number };
  /** Its gateway threads; undefined where it has only one thread. */
  readonly threads: Threads | undefined;
  /** Its gateway; undefined where gateways are in other threads. */
  readonly gateway: Gateway | undefined;
  /** Connections with a user. */
  readonly connections: number;
  /** What each gateway has in memory. */
  inspect(): Promise<readonly GatewayFigures[]>;
  /** Sends everybody away in good order, stores what is in flight, lets go of port and files. */
  drain(): Promise<void>;
}

const DAY_MS = 86_400_000;
/** From how many events a millisecond on commits are paced: a synced commit is ten times as dear. */
const BUSY_EVENTS_PER_MS = { normal: 3, full: 0.5 };

/**
 * Puts the parts together and starts listening.
 * @throws DataFolderError the data folder cannot be used
 * @throws Error it cannot listen
 */
export function startRoomcast(config: Config): Roomcast {
  const folder =
    config.history === "sqlite" ? DataFolder.open(config.data) : undefined;
  const guests = new GuestCounter(folder?.readGuestCounter() ?? 0, (next) =>
    folder?.writeGuestCounter(next),
  );
  const parts: Parts = {
    config,
    folder,
    sessionKey:
      config.sessionKey ||
      folder?.sessionKey() ||
      crypto.getRandomValues(new Uint8Array(32)),
    openDirectory: (presenceChanged) =>
      new LocalDirectory(
        new AdmissionCount(
          config.maxConnections,
          config.maxConnectionsPerAddress,
        ),
        new Users(guests),
        { presenceChanged },
      ),
    closeFiles() {
      guests.close();
      folder?.close();
    },
  };
  return config.threads === 1 ? oneThread(parts) : manyThreads(parts);
}

/** What a server has however many threads it has. */
interface Parts {
  readonly config: Config;
  /** None where history is in memory. */
  readonly folder: DataFolder | undefined;
  readonly sessionKey: Uint8Array | string;
  openDirectory(
    presenceChanged: DirectoryListener["presenceChanged"],
  ): LocalDirectory;
  closeFiles(): void;
}

/** Broker and gateway in one thread: no event crosses anything. */
function oneThread(parts: Parts): Roomcast {
  const { config, sessionKey } = parts;
  const broker = openBroker<Origin>(parts, (event, origin) =>
    gateway.deliver(event, origin),
  );
  const directory = parts.openDirectory((room, told) =>
    gateway.presenceChanged(room, told),
  );
  const gateway: Gateway = new Gateway(
    config,
    broker,
    directory,
    (topic, frame, compress) => server.publish(topic, frame, compress),
  );
  let draining = false;
  const server = serve({
    config,
    gateway,
    sessions: new Sessions(sessionKey, config.sessionDays),
    draining: () => draining,
    otherwise: pageIf(config.page),
    // Not to be mixed up with connections of an earlier run, whose numbers started at 1 too.
    run: Date.now().toString(36),
  });
  const housekeeping = startHousekeeping(gateway);

  return {
    server: { hostname: server.hostname!, port: server.port! },
    threads: undefined,
    gateway,
    get connections() {
      return gateway.connections.size;
    },
    async inspect() {
      const { connections, rooms } = gateway;
      return [{ connections: connections.size, rooms: rooms.count }];
    },
    async drain() {
      draining = true;
      await drainPeers(
        gateway.peers,
        drainOptions(config, gateway.connections.size),
      );
      clearInterval(housekeeping);
      await broker.flush();
      await server.stop(true);
      await broker.close();
      parts.closeFiles();
    },
  };
}

/** The broker in this thread, gateways in others. */
function manyThreads(parts: Parts): Roomcast {
  const { config, sessionKey } = parts;
  const hub = new Hub(config);
  const broker = openBroker(parts, hub.deliver);
  hub.broker = broker;
  const directory = parts.openDirectory(hub.presenceChanged);
  hub.directory = directory;
  const threads = new Threads({ config, hub, sessionKey });

  return {
    server: { hostname: config.host, port: threads.port },
    threads,
    gateway: undefined,
    get connections() {
      return directory.totals().connections;
    },
    inspect: () => threads.inspect(),
    async drain() {
      await threads.drain(drainOptions(config, directory.totals().connections));
      await broker.flush();
      await threads.stop();
      await broker.close();
      parts.closeFiles();
    },
  };
}

/** The broker that keeps everything in this process. */
function openBroker<From>(
  { config, folder }: Parts,
  deliver: Deliver<From>,
): Broker<From> {
  const options: EmbeddedOptions = {
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
      console.error(`roomcast: the store fails: ${message}`),
  });
  const broker = new EmbeddedBroker(store, deliver, options);
  store.gate = broker;
  return broker;
}

function drainOptions(config: Config, connections: number): DrainOptions {
  return {
    // The rest is for the store to finish.
    timeoutMs: config.drainTimeoutMs * 0.7,
    graceMs: Math.min(config.drainGraceMs, config.drainTimeoutMs / 2),
    connections,
  };
}
