import packageJson from "../package.json" with { type: "json" };
import { Auth } from "./auth/auth.ts";
import { readAuthSettings, type AuthSettings } from "./auth/settings.ts";
import { readTls, type Tls } from "./auth/tls.ts";
import { createApi } from "./api/api.ts";
import { createApiFront, firstOf } from "./api/front.ts";
import { moderatorsOf } from "./api/moderators.ts";
import { apiPorts } from "./api/ports.ts";
import { SanctionBook } from "./api/sanction-book.ts";
import type { Backend, BackendListener } from "./backend/backend.ts";
import { openEmbedded } from "./backend/embedded.ts";
import { openNats } from "./backend/nats.ts";
import type { Config } from "./config/options.ts";
import type { DirectoryListener } from "./gateway/directory.ts";
import { drainPeers, type DrainOptions } from "./gateway/drain.ts";
import type { Origin } from "./gateway/entry.ts";
import { Gateway } from "./gateway/gateway.ts";
import { startHousekeeping } from "./gateway/housekeeping.ts";
import type { Reach } from "./gateway/orders.ts";
import type { SanctionKeeper, Sanctions } from "./gateway/sanctions.ts";
import { serve } from "./gateway/serve.ts";
import { Sessions } from "./gateway/sessions.ts";
import { createLogger, type Logger, type LogSink } from "./logging/logger.ts";
import { Metrics } from "./metrics/metrics.ts";
import { SharedSanctions } from "./nodes/shared-sanctions.ts";
import { measureLoopDelay } from "./stats/loop-delay.ts";
import { Hub } from "./threads/hub.ts";
import type { HubOrigin } from "./threads/link-events.ts";
import type { GatewayFigures } from "./threads/link.ts";
import { claimPort } from "./threads/port.ts";
import { Threads, type Trial } from "./threads/threads.ts";
import { pageIf } from "./web/page.ts";

/** A running server. */
export interface Roomcast {
  /** Where it listens. */
  readonly server: { readonly hostname: string; readonly port: number };
  /** Where history is kept. */
  readonly historyIn: string;
  /** Its gateway threads; undefined where it has only one thread. */
  readonly threads: Threads | undefined;
  /** Its gateway; undefined where gateways are in other threads. */
  readonly gateway: Gateway | undefined;
  /** Connections with a user. */
  readonly connections: number;
  /**
   * Reads certificate and key again, for connections from now on.
   * @throws Error they cannot be used: all stays as it was
   */
  reloadTls(): void;
  /** What each gateway has in memory. */
  inspect(): Promise<readonly GatewayFigures[]>;
  /** Sends everybody away in good order, stores what is in flight, lets go of port and files. */
  drain(): Promise<void>;
}

/**
 * Starts a server with everything inside.
 * @param sink where its log goes
 * @param trial of gateway threads, in tests
 * @throws ConfigError an option about tokens or certificates
 * @throws DataFolderError the data folder cannot be used
 * @throws Error it cannot listen
 */
export function startRoomcast(
  config: Config,
  sink: LogSink = process.stderr,
  trial?: Trial,
): Roomcast {
  const shared = startShared(config, sink);
  if (config.threads === 1) {
    const listener = new GatewayListener();
    const backend = openEmbedded(config, listener, shared.logger);
    return oneThread(shared, backend, listener);
  }
  const hub = new Hub(config, sink);
  const backend = openEmbedded(config, hub, shared.logger);
  return manyThreads(shared, backend, hub, trial);
}

/**
 * Starts a server whose history is in NATS, one of perhaps many.
 * @param onEnd told once, when it must end: its store is not the one of the start any more
 * @param sink where its log goes
 * @throws NatsError NATS cannot be used
 * @throws Error it cannot listen
 */
export async function startOnNats(
  config: Config,
  onEnd: (reason: string) => void,
  sink: LogSink = process.stderr,
): Promise<Roomcast> {
  const shared = startShared(config, sink);
  const { logger } = shared;
  if (config.threads === 1) {
    const listener = new GatewayListener();
    const backend = await openNats(config, listener, onEnd, logger);
    return oneThread(shared, backend, listener);
  }
  const hub = new Hub(config, sink);
  const backend = await openNats(config, hub, onEnd, logger);
  return manyThreads(shared, backend, hub);
}

/** What both kinds of server have. */
interface Shared {
  readonly config: Config;
  readonly logger: Logger;
  /** What the options say about who comes in, and how: read once, for all gateways. */
  readonly auth: AuthSettings;
  readonly tls: Tls | undefined;
}

/** @throws ConfigError */
const startShared = (config: Config, sink: LogSink): Shared => ({
  config,
  logger: createLogger(config.logLevel, sink),
  auth: readAuthSettings(config),
  tls: readTls(config),
});

/** What the backend calls of a gateway that is made after it. */
class GatewayListener implements BackendListener<Origin> {
  gateway!: Gateway;

  readonly deliver: BackendListener<Origin>["deliver"] = (event, origin) =>
    this.gateway.deliver(event, origin);

  readonly hindrance: BackendListener<Origin>["hindrance"] = (draft) =>
    this.gateway.sanctions.hindrance(draft, Date.now());

  readonly presenceChanged: DirectoryListener["presenceChanged"] = (
    room,
    told,
  ) => this.gateway.presenceChanged(room, told);

  readonly note: DirectoryListener["note"] = (note) =>
    this.gateway.noteFromElsewhere(note);
}

/** Backend and gateway in one thread: no event crosses anything. */
function oneThread(
  { config, logger, auth, tls }: Shared,
  backend: Backend<Origin>,
  listener: GatewayListener,
): Roomcast {
  const gateway: Gateway = new Gateway(
    config,
    backend.broker,
    backend.directory,
    new Auth(auth, (message) => logger.warn(message)),
    (topic, frame, compress, except) =>
      server.publish(topic, frame, compress, except),
    logger,
  );
  listener.gateway = gateway;
  const reach = backend.reach(gateway);
  const book = openBook(backend, gateway.sanctions, gateway, reach, logger);
  const api = createApi(
    apiPorts(config, backend, gateway, reach, book),
    logger,
  );
  const loopDelay = measureLoopDelay(gateway.stats.loopDelayUs);
  const metrics = new Metrics(packageJson.version, async () => ({
    ...(await backend.directory.totals()),
    rooms: gateway.rooms.count,
    gateway: gateway.stats,
    commits: backend.commits,
    nats: backend.nats,
    webhooks: backend.webhooks,
  }));
  let draining = false;
  // So that a listener with another certificate can come beside it.
  const claimed =
    tls && process.platform === "linux"
      ? claimPort(config.host, config.port)
      : undefined;
  const server = serve({
    config: claimed ? { ...config, port: claimed.port } : config,
    tls,
    reusePort: claimed !== undefined,
    gateway,
    sessions: new Sessions(backend.sessionKey, config.sessionDays),
    draining: () => draining,
    otherwise: firstOf(
      createApiFront(config, api, moderatorsOf(gateway), logger, gateway.stats),
      pageIf(config.page),
    ),
    run: newRun(),
    metrics: config.metrics === "on" ? () => metrics.text() : undefined,
  });
  const housekeeping = startHousekeeping(gateway);

  return {
    server: { hostname: server.hostname, port: server.port },
    historyIn: backend.historyIn,
    threads: undefined,
    gateway,
    get connections() {
      return gateway.connections.size;
    },
    reloadTls() {
      if (!claimed)
        throw new Error("listeners cannot be changed on this system");
      server.change(reread(config));
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
      clearInterval(loopDelay);
      await backend.broker.flush();
      await server.stop();
      claimed?.release();
      book.close();
      await backend.close();
    },
  };
}

/** Who keeps bans and mutes. @param list is filled with those that hold */
function openBook(
  { sanctions }: Pick<Backend<unknown>, "sanctions">,
  list: Sanctions,
  here: Reach,
  reach: Reach,
  logger: Logger,
): SanctionKeeper {
  if (sanctions instanceof SharedSanctions) return sanctions.attach(list, here);
  return new SanctionBook(list, sanctions, reach, (error) =>
    logger.error({ err: error }, "ended sanctions stay in their file"),
  );
}

/** The backend in this thread, gateways in others. */
function manyThreads(
  { config, logger, auth, tls }: Shared,
  backend: Backend<HubOrigin>,
  hub: Hub,
  trial?: Trial,
): Roomcast {
  hub.backend = backend;
  const reach = backend.reach(hub);
  const book = openBook(backend, hub.sanctions, hub, reach, logger);
  hub.api = createApi(apiPorts(config, backend, hub, reach, book), logger);
  const loopDelay = measureLoopDelay(hub.stats.loopDelayUs);
  const metrics = new Metrics(packageJson.version, async () => ({
    ...(await backend.directory.totals()),
    rooms: hub.roomCount,
    gateway: await threads.stats(),
    commits: backend.commits,
    nats: backend.nats,
    webhooks: backend.webhooks,
  }));
  hub.metrics = () => metrics.text();
  const threads = new Threads({
    config,
    auth,
    tls,
    hub,
    sessionKey: backend.sessionKey,
    logger,
    ...(trial && { trial }),
  });

  return {
    server: { hostname: config.host, port: threads.port },
    historyIn: backend.historyIn,
    threads,
    gateway: undefined,
    get connections() {
      return hub.connections;
    },
    reloadTls: () => threads.changeTls(reread(config)),
    inspect: () => threads.inspect(),
    async drain() {
      await threads.drain(drainOptions(config, hub.connections));
      clearInterval(loopDelay);
      await backend.broker.flush();
      await threads.stop();
      book.close();
      await backend.close();
    },
  };
}

/** @throws ConfigError */
function reread(config: Config): Tls {
  const tls = readTls(config);
  if (!tls)
    throw new Error("there is no certificate: connections are not encrypted");
  return tls;
}

/**
 * Not to be mixed up with connections of an earlier run, whose numbers started at 1 too, or of another server that started
 * in the same moment.
 */
const newRun = (): string =>
  `${Date.now().toString(36)}${Math.floor(Math.random() * 46_656)
    .toString(36)
    .padStart(3, "0")}`;

function drainOptions(config: Config, connections: number): DrainOptions {
  return {
    // The rest is for the store to finish.
    timeoutMs: config.drainTimeoutMs * 0.7,
    graceMs: Math.min(config.drainGraceMs, config.drainTimeoutMs / 2),
    connections,
  };
}
