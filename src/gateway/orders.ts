import { quote } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import type { Gateway } from "./gateway.ts";

/** What the application's back end has done to a user, wherever that is connected. */
export type Order =
  /** All its connections are closed. */
  | { readonly act: "disconnect"; readonly user: string }
  /** Its connections leave a room. */
  | { readonly act: "remove"; readonly user: string; readonly room: string };

/** Whoever has connections, or knows who has. @returns how many of them it was about */
export interface Reach {
  carryOut(order: Order): number | Promise<number>;
}

/** Carries an order out on one gateway's connections. One pass over them all: it happens now and then. */
export function carryOut(gateway: Gateway, order: Order): number {
  let reached = 0;
  for (const connection of [...gateway.connections]) {
    if (connection.user.id !== order.user) continue;
    if (obey(gateway, connection, order)) reached++;
  }
  return reached;
}

/** @returns whether it was about this connection */
function obey(gateway: Gateway, connection: Connection, order: Order): boolean {
  switch (order.act) {
    case "disconnect":
      connection.terminate(4020, "the application sent you away");
      return true;
    case "remove":
      return expel(gateway, connection, order.room, "removed");
  }
}

/** Takes a connection out of a room, and tells it. @returns whether it was there */
function expel(
  gateway: Gateway,
  connection: Connection,
  room: string,
  code: "removed",
): boolean {
  const membership = connection.memberships.get(room);
  if (!membership) return false;
  const message = `you were taken out of room ${quote(room)}`;
  // Told first: it takes along the events that were published before.
  connection.send({ action: "room_left", room, code, message });
  gateway.leave(connection, membership);
  return true;
}
