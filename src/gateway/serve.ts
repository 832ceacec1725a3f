import type { Server } from "bun";
import type { Config } from "../config/options.ts";
import { Admission } from "./admission.ts";
import { ChatSocket } from "./chat-socket.ts";
import { Connection, type Rates, type SocketHandler } from "./connection.ts";
import { EchoSocket } from "./echo-socket.ts";
import type { Gateway } from "./gateway.ts";
import type { Sessions } from "./sessions.ts";
import { Refusal, needWebSocket, readChatRequest } from "./upgrade.ts";

export type ChatServer = Server<SocketHandler>;

export interface ServeOptions {
  readonly config: Config;
  readonly gateway: Gateway;
  readonly sessions: Sessions;
  /** Whether the server is shutting down: upgrades are then refused. */
  readonly draining: () => boolean;
}

const MAX_WEBSOCKET_LIMIT = 2 ** 31 - 1;

const ABOUT = `This is roomcast, a chat server.

Sockets are at /chat; /echo answers what it is sent, for trying a client.
  websocat "ws://HOST/chat?format=text&name=Bob"
`;

/**
 * The HTTP and WebSocket side: routes, upgrades, socket callbacks.
 * @throws Error where it cannot listen, naming the options
 */
export function serve({
  config,
  gateway,
  sessions,
  draining,
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

  function chatHandler(request: Request, url: URL, address: string) {
    const { codec, subprotocol, room, name, session } = readChatRequest(
      request,
      url,
      config.maxNameBytes,
    );
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

  function route(request: Request, server: ChatServer): Response | undefined {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/chat":
        return upgrade(request, server, (address) =>
          chatHandler(request, url, address),
        );
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
      case "/":
        return new Response(ABOUT.replace("HOST", url.host));
      default:
        throw new Refusal(
          404,
          "not_found",
          `there is nothing at ${url.pathname.slice(0, 100)}`,
        );
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
