import type { Sanction } from "../data/sanctions-file.ts";
import { quote } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import type { Gateway } from "./gateway.ts";

/** What the application's back end has done, wherever there are connections. */
export type Order =
  /** A message was deleted: nobody is shown it any more, though the event that tells so be late. */
  | { readonly act: "bury"; readonly room: string; readonly target: number }
  /** All its connections are closed. */
  | { readonly act: "disconnect"; readonly user: string }
  /** Its connections leave a room. */
  | { readonly act: "remove"; readonly user: string; readonly room: string }
  /** A sanction begins, or is lifted: then `until` is 0. */
  | ({ readonly act: "sanction" } & Sanction);

export const BANNED = "you are banned";

/** Whoever has connections, or knows who has. @returns how many of them it was about */
export interface Reach {
  carryOut(order: Order): number | Promise<number>;
}

/** Carries an order out on one gateway's connections. One pass over them all: it happens now and then. */
export function carryOut(gateway: Gateway, order: Order): number {
  if (order.act === "bury") {
    const room = gateway.rooms.get(order.room);
    if (room) gateway.bury(room, order.target);
    return 0;
  }
  if (order.act === "sanction")
    if (order.until > 0) gateway.sanctions.set(order);
    else gateway.sanctions.lift(order);
  let reached = 0;
  for (const connection of [...gateway.connections]) {
    if (connection.user.id !== order.user) continue;
    if (obey(gateway, connection, order)) reached++;
  }
  return reached;
}

/** @returns whether it was about this connection */
function obey(
  gateway: Gateway,
  connection: Connection,
  order: Exclude<Order, { act: "bury" }>,
): boolean {
  switch (order.act) {
    case "disconnect":
      connection.terminate(4020, "the application sent you away");
      return true;
    case "remove": {
      const message = `you were taken out of room ${quote(order.room)}`;
      return expel(gateway, connection, order.room, "removed", message);
    }
    case "sanction":
      return order.kind === "ban"
        ? ban(gateway, connection, order)
        : mute(connection, order);
  }
}

function ban(
  gateway: Gateway,
  connection: Connection,
  { room, until }: Sanction,
): boolean {
  // When it is lifted there is nobody to tell.
  if (until === 0) return false;
  if (room !== "")
    return expel(
      gateway,
      connection,
      room,
      "banned",
      `you are banned from room ${quote(room)}`,
    );
  connection.terminate(4021, BANNED);
  return true;
}

function mute(connection: Connection, { room, until }: Sanction): boolean {
  const muted = room === "" ? connection : connection.memberships.get(room);
  if (!muted) return false;
  muted.mutedUntil = until;
  return true;
}

/** Takes a connection out of a room, and tells it. @returns whether it was there */
function expel(
  gateway: Gateway,
  connection: Connection,
  room: string,
  code: "removed" | "banned",
  message: string,
): boolean {
  const membership = connection.memberships.get(room);
  if (!membership) return false;
  // Told first: it takes along the events that were published before.
  connection.send({ action: "room_left", room, code, message });
  gateway.leave(connection, membership);
  return true;
}
