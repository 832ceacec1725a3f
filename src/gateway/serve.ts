import type { Access } from "../auth/auth.ts";
import type { Tls } from "../auth/tls.ts";
import type { Config } from "../config/options.ts";
import { ChatSocket } from "./chat-socket.ts";
import { Connection, type Rates, type SocketHandler } from "./connection.ts";
import {
  isRefused,
  type Admission,
  type Arrival,
  type Place,
  type Totals,
} from "./directory.ts";
import { Doors, type Arriving } from "./doors.ts";
import { EchoSocket } from "./echo-socket.ts";
import type { Gateway } from "./gateway.ts";
import { Listeners, type ChatServer } from "./listeners.ts";
import { BANNED } from "./orders.ts";
import { PendingSocket } from "./pending-socket.ts";
import type { Sessions } from "./sessions.ts";
import {
  Refusal,
  needWebSocket,
  readChatRequest,
  type ChatRequest,
} from "./upgrade.ts";

export interface ServeOptions {
  readonly config: Config;
  readonly gateway: Gateway;
  readonly sessions: Sessions;
  /** Whether the server is shutting down: upgrades are then refused. */
  readonly draining: () => boolean;
  /** Answers for other paths. @returns undefined, at once or later, for one it does not know */
  readonly otherwise: (
    request: Request,
    pathname: string,
  ) => Promise<Response | undefined> | undefined;
  /** Tells this gateway's connections from those of another gateway or run. */
  readonly run: string;
  /** The text of `/metrics`; undefined where there is none. */
  readonly metrics: (() => Promise<string>) | undefined;
  /** Other threads listen on the same port, or another certificate's listener will. */
  readonly reusePort?: boolean;
  readonly tls?: Tls | undefined;
}

/** What an upgrade makes of a connection that has a place. */
interface Opened {
  readonly data: SocketHandler;
  readonly subprotocol: string | undefined;
}

const METRICS_HEADERS = {
  headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
};
const MAX_WEBSOCKET_LIMIT = 2 ** 31 - 1;

/**
 * The HTTP and WebSocket side: routes, upgrades, socket callbacks.
 * @throws Error where it cannot listen, naming the options
 */
export function serve({
  config,
  gateway,
  sessions,
  draining,
  otherwise,
  run,
  metrics,
  reusePort = false,
  tls,
}: ServeOptions): Listeners {
  const { directory } = gateway;
  const rates: Rates = {
    messagesPerSecond: config.maxMessagesPerSecond,
    requestsPerSecond: config.maxRequestsPerSecond,
    bytesPerSecond: config.maxBytesPerSecond,
  };
  const doors = new Doors(config, gateway.auth, sessions);
  const knock = (request: Request, server: ChatServer): string =>
    doors.knock(request, server.requestIP(request)?.address ?? "");
  let connectionNumber = 0;

  /**
   * Takes a place and upgrades; without a promise where the directory needs none.
   * @throws Refusal, also as a rejection
   */
  function upgrade(
    request: Request,
    server: ChatServer,
    address: string,
    who: Arrival,
    open: (place: Place) => Opened,
  ): undefined | Promise<undefined> {
    if (draining()) throw drainingRefusal();
    const finish = (admission: Admission): undefined => {
      if (isRefused(admission))
        throw new Refusal(
          503,
          admission.code,
          admission.message,
          { "retry-after": "10" },
          admission.limit,
        );
      const { data, subprotocol } = open(admission);
      const upgraded = server.upgrade(
        request,
        subprotocol === undefined
          ? { data }
          : { data, headers: { "sec-websocket-protocol": subprotocol } },
      );
      if (upgraded) return undefined;
      directory.leave(admission);
      throw new Refusal(
        400,
        "not_a_websocket",
        "the WebSocket handshake is not complete",
      );
    };
    const admission = directory.admit(address, who);
    return admission instanceof Promise
      ? admission.then(finish)
      : finish(admission);
  }

  function chat(
    request: Request,
    url: URL,
    server: ChatServer,
  ): undefined | Promise<undefined> {
    const address = knock(request, server);
    // Before an upgrade is asked for: browsers hide why they were refused an upgrade, but their pages can ask again without one.
    const asked = readChatRequest(request, url, config.maxNameBytes);
    const now = Date.now();
    const arriving = doors.arrive(request, asked, now);
    const letIn = (arrived: Arriving) =>
      enter(request, server, address, asked, arrived, now);
    return arriving instanceof Promise ? arriving.then(letIn) : letIn(arriving);
  }

  function enter(
    request: Request,
    server: ChatServer,
    address: string,
    { codec, subprotocol, room }: ChatRequest,
    { who, access }: Arriving,
    now: number,
  ): undefined | Promise<undefined> {
    const known = who.kind === "user" ? who.user.id : undefined;
    if (known && gateway.sanctions.until("ban", known, "") > now)
      throw new Refusal(403, "banned", BANNED);
    needWebSocket(request);
    // A text connection is always in a room.
    const joined = room ?? (codec.name === "text" ? "general" : undefined);
    const connect = (place: Place, access: Access): ChatSocket => {
      const user = place.user!;
      const connection = new Connection(
        `${run}-${++connectionNumber}`,
        user,
        place,
        access,
        codec,
        joined ?? "",
        rates,
        gateway.outlet,
        performance.now(),
      );
      listeners.opened(connection, server);
      const session =
        access === gateway.auth.guest ? sessions.issue(user, now) : undefined;
      return new ChatSocket(gateway, connection, joined, session);
    };
    return upgrade(request, server, address, who, (place) => ({
      data: access
        ? connect(place, access)
        : new PendingSocket(gateway, place, codec, connect),
      subprotocol,
    }));
  }

  function echo(
    request: Request,
    server: ChatServer,
  ): undefined | Promise<undefined> {
    const address = knock(request, server);
    needWebSocket(request);
    return upgrade(request, server, address, { kind: "nobody" }, (place) => ({
      data: new EchoSocket(place, config, directory, gateway.peers),
      subprotocol: undefined,
    }));
  }

  function health({ connections }: Totals): Response {
    const status = draining()
      ? "draining"
      : gateway.broker.ready
        ? "ok"
        : "unavailable";
    return Response.json(
      { status, connections },
      { status: status === "ok" ? 200 : 503 },
    );
  }

  function route(
    request: Request,
    server: ChatServer,
  ): Response | undefined | Promise<Response | undefined> {
    const url = urlOf(request);
    switch (url.pathname) {
      case "/chat":
        return chat(request, url, server);
      case "/echo":
        return echo(request, server);
      case "/health":
      case "/health/ready": {
        const totals = directory.totals();
        return totals instanceof Promise ? totals.then(health) : health(totals);
      }
      // Whatever else is wrong: to end the process is no cure for a disk or for NATS.
      case "/health/live":
        return Response.json({ status: "ok" });
      case "/metrics":
        return metrics
          ? metrics().then((text) => new Response(text, METRICS_HEADERS))
          : elsewhere(request, url);
      default:
        return elsewhere(request, url);
    }
  }

  function elsewhere(request: Request, { pathname }: URL): Promise<Response> {
    const nothing = new Refusal(
      404,
      "not_found",
      `there is nothing at ${pathname.slice(0, 100)}`,
    );
    const answer = otherwise(request, pathname);
    if (!answer) throw nothing;
    return answer.then((found) => {
      if (found) return found;
      throw nothing;
    });
  }

  function refused(error: unknown): Response {
    if (!(error instanceof Refusal)) throw error;
    gateway.stats.error(error.code, error.limit);
    return error.response();
  }

  let listeners: Listeners;
  try {
    listeners = new Listeners(listen, tls, config.port);
    return listeners;
  } catch (error) {
    throw cannotListen(config, error);
  }

  function listen(tls: Tls | undefined, port: number): ChatServer {
    return Bun.serve({
      hostname: config.host,
      port,
      reusePort,
      ...(tls ? { tls } : {}),
      fetch(request, server) {
        try {
          const response = route(request, server);
          return response instanceof Promise
            ? response.catch(refused)
            : response;
        } catch (error) {
          return refused(error);
        }
      },
      error(error) {
        gateway.stats.error("internal_error");
        gateway.logger.error({ err: error }, "a request failed");
        return new Response("internal error", { status: 500 });
      },
      websocket: {
        data: {} as SocketHandler,
        maxPayloadLength: Math.min(config.maxFrameBytes, MAX_WEBSOCKET_LIMIT),
        backpressureLimit: Math.min(
          config.backpressureLimitBytes,
          MAX_WEBSOCKET_LIMIT,
        ),
        // The alternative is a silent gap of thousands of messages (measured on Bun 1.4.5).
        closeOnBackpressureLimit: true,
        // Compression would be done once per subscriber.
        perMessageDeflate: false,
        // Liveness is our own: see liveness.ts.
        idleTimeout: 0,
        sendPings: false,
        open: (socket) => socket.data.open(socket),
        message: (socket, frame) => socket.data.message(frame),
        ping: (socket) => socket.data.alive(),
        pong: (socket) => socket.data.alive(),
        drain: (socket) => socket.data.drained(),
        close: (socket, code, reason) => socket.data.close(code, reason),
      },
    });
  }
}

/**
 * Where a request goes. Load balancers that ask for health as HTTP/1.0 name no host, and Bun then tells only the path.
 * @throws Refusal the host is none
 */
function urlOf({ url }: Request): URL {
  const parsed = url.startsWith("/")
    ? URL.parse(`http://localhost${url}`)
    : URL.parse(url);
  if (parsed) return parsed;
  throw new Refusal(400, "invalid_field", "the Host header is not valid");
}

/** What to tell where a port cannot be had. */
export function cannotListen(
  { host, port }: Pick<Config, "host" | "port">,
  error: unknown,
): Error {
  return new Error(
    `--host "${host}" --port ${port}: cannot listen there: ${(error as Error).message}; allowed is an address of this machine and a free port`,
  );
}

const drainingRefusal = (): Refusal =>
  new Refusal(
    503,
    "draining",
    "the server is shutting down; connect again later",
    { "retry-after": "5" },
  );
