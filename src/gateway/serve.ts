import type { Server } from "bun";
import type { Config } from "../config/options.ts";
import { Admission } from "./admission.ts";
import { ChatSocket } from "./chat-socket.ts";
import { Connection, type Rates, type SocketHandler } from "./connection.ts";
import { EchoSocket } from "./echo-socket.ts";
import type { Gateway } from "./gateway.ts";
import type { Sessions } from "./sessions.ts";
import {
  Refusal,
  needWebSocket,
  readChatRequest,
  type ChatRequest,
} from "./upgrade.ts";

export type ChatServer = Server<SocketHandler>;

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
}

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
}: ServeOptions): ChatServer {
  const admission = new Admission(
    config.maxConnections,
    config.maxConnectionsPerAddress,
  );
  const rates: Rates = {
    messagesPerSecond: config.maxMessagesPerSecond,
    requestsPerSecond: config.maxRequestsPerSecond,
  };
  let connectionNumber = 0;
  // Not to be mixed up with connections of an earlier run, whose numbers started at 1 too.
  const run = Date.now().toString(36);

  /** @throws Refusal */
  function upgrade(
    request: Request,
    server: ChatServer,
    handler: (address: string) => {
      data: SocketHandler;
      subprotocol: string | undefined;
    },
  ): undefined {
    needWebSocket(request);
    if (draining())
      throw new Refusal(
        503,
        "draining",
        "the server is shutting down; connect again later",
        {
          "retry-after": "5",
        },
      );
    const address = server.requestIP(request)?.address ?? "";
    const { data, subprotocol } = handler(address);
    const refused = admission.enter(address);
    if (refused)
      throw new Refusal(503, refused.code, refused.message, {
        "retry-after": "10",
      });
    const upgraded = server.upgrade(
      request,
      subprotocol === undefined
        ? { data }
        : { data, headers: { "sec-websocket-protocol": subprotocol } },
    );
    if (!upgraded) {
      admission.leave(address);
      throw new Refusal(
        400,
        "not_a_websocket",
        "the WebSocket handshake is not complete",
      );
    }
    return undefined;
  }

  function chatHandler(asked: ChatRequest, address: string) {
    const { codec, subprotocol, room, name, session } = asked;
    const now = Date.now();
    const user =
      (session === undefined ? undefined : sessions.verify(session, now)) ??
      gateway.users.guest(name);
    // A text connection is always in a room.
    const joined = room ?? (codec.name === "text" ? "general" : undefined);
    const connection = new Connection(
      `${run}-${++connectionNumber}`,
      user,
      codec,
      joined ?? "",
      rates,
      performance.now(),
    );
    const data = new ChatSocket(
      gateway,
      connection,
      address,
      joined,
      sessions.issue(user, now),
    );
    return { data, subprotocol };
  }

  function route(
    request: Request,
    server: ChatServer,
  ): Response | undefined | Promise<Response> {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/chat": {
        // First of all: browsers hide why they were refused an upgrade, but their pages can ask again without one.
        const asked = readChatRequest(request, url, config.maxNameBytes);
        return upgrade(request, server, (address) =>
          chatHandler(asked, address),
        );
      }
      case "/echo":
        return upgrade(request, server, (address) => ({
          data: new EchoSocket(address, config, gateway.peers),
          subprotocol: undefined,
        }));
      case "/health":
        return Response.json(
          {
            status: draining() ? "draining" : "ok",
            connections: gateway.connections.size,
          },
          { status: draining() ? 503 : 200 },
        );
      default: {
        const nothing = new Refusal(
          404,
          "not_found",
          `there is nothing at ${url.pathname.slice(0, 100)}`,
        );
        const answer = otherwise(request, url.pathname);
        if (!answer) throw nothing;
        return answer.then((found) => found ?? nothing.response());
      }
    }
  }

  try {
    return listen();
  } catch (error) {
    throw new Error(
      `--host "${config.host}" --port ${config.port}: cannot listen there: ${(error as Error).message}; allowed is an address of this machine and a free port`,
    );
  }

  function listen(): ChatServer {
    return Bun.serve({
      hostname: config.host,
      port: config.port,
      fetch(request, server) {
        try {
          return route(request, server);
        } catch (error) {
          if (error instanceof Refusal) return error.response();
          throw error;
        }
      },
      error(error) {
        console.error("roomcast: a request failed:", error);
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
        close(socket) {
          admission.leave(socket.data.address);
          socket.data.close();
        },
      },
    });
  }
}
