import { USUAL_RIGHTS, everywhere } from "../../src/auth/rights.ts";
import { Connection, type Socket } from "../../src/gateway/connection.ts";
import { Outlet } from "../../src/gateway/outlet.ts";
import { GatewayStats } from "../../src/stats/gateway-stats.ts";
import { json } from "../../src/protocol/json.ts";

/** A connection without a socket, for what only looks at its state. */
export function newConnection(id: string | number, now: number): Connection {
  const user = { id: `u${id}`, name: `n${id}` };
  return new Connection(
    `c${id}`,
    user,
    { address: "127.0.0.1", user },
    { grants: everywhere(USUAL_RIGHTS), expiresAt: Infinity, warnAt: Infinity },
    json,
    "general",
    { messagesPerSecond: 1, requestsPerSecond: 1, bytesPerSecond: 1 },
    new Outlet(new GatewayStats(), new Set(), Infinity),
    now,
  );
}

/** A connection with so many unsent bytes. @param terminated called when it is cut off */
export function slowConnection(
  unsent: number,
  terminated: () => void,
): Connection {
  const connection = newConnection(unsent, 0);
  connection.socket = {
    getBufferedAmount: () => unsent,
    terminate: terminated,
  } as Partial<Socket> as Socket;
  return connection;
}
