import { RIGHTS, type RightName, type Rights } from "../auth/rights.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { ClientMessage } from "../protocol/messages.ts";
import { MAX_ROOM_BYTES, checkName, quote } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import type { Gateway } from "./gateway.ts";
import { recall, reply } from "./history.ts";
import { NOTHING, type Recalled } from "./recall.ts";
import type { Room } from "./room.ts";

/**
 * `join_room`: what was missed, then live events, with nothing between.
 * @throws ProtocolError
 */
export async function joinRoom(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"join_room">,
): Promise<void> {
  checkName("room", message.room, MAX_ROOM_BYTES);
  const { config, directory, rooms } = gateway;
  const rights = connection.access.grants.of(message.room);
  if (!(rights & RIGHTS.join)) throw forbidden("join", message.room);
  checkBan(gateway, connection, message.room);
  const { decoder } = connection;
  if (
    !decoder.moved &&
    !connection.memberships.has(message.room) &&
    connection.memberships.size >= config.maxRoomsPerConnection
  )
    throw new ProtocolError(
      "too_many_rooms",
      `a connection may be in ${config.maxRoomsPerConnection} rooms: leave one first`,
      undefined,
      "max_rooms_per_connection",
    );
  // The hold is the membership's once it exists, so that a room with members is never forgotten.
  const room = rooms.hold(message.room);
  const isNew = !connection.memberships.has(message.room);
  const arriving = isNew ? room.arrive(connection.user.id) : undefined;
  let joined = false;
  try {
    // Before its place is found, so that the count in the reply holds it, and no change told before the reply is missed.
    const entered = isNew && directory.enter(room.name, connection.place);
    if (entered) await Promise.all([room.ready, entered]);
    else await room.ready;
    await gateway.meter.turn();
    joined = await place(gateway, connection, room, message, rights);
    // Everybody who comes hears of it in the same way, however long the place took to find.
    if (joined && arriving?.told) gateway.tellArrival(connection, room.name);
    if (joined && decoder.moved) {
      decoder.moved(room.name);
      for (const membership of connection.memberships.values())
        if (membership.room !== room) gateway.leave(connection, membership);
    }
  } finally {
    if (arriving) room.arrived(arriving);
    if (!joined) rooms.release(room);
    if (isNew && !joined) directory.exit(room.name, connection.place);
  }
}

/**
 * Reads what the joiner missed, then, in one go, puts it into a slice and answers.
 * @returns whether it became a member that was none
 */
async function place(
  gateway: Gateway,
  connection: Connection,
  room: Room,
  message: ClientMessage<"join_room">,
  rights: Rights,
): Promise<boolean> {
  const { broker, config } = gateway;
  const known = await position(gateway, room, message);
  const mayRead = (rights & RIGHTS.history) !== 0;
  const latest = mayRead
    ? Math.min(message.history ?? 0, config.maxHistoryPerReply)
    : 0;
  for (let attempt = 0; attempt < PLACE_ATTEMPTS; attempt++) {
    if (connection.closed) return false;
    const atLeast = alreadyHas(connection, room, known);
    const upto = room.slices.find(atLeast)?.position ?? room.head;
    let recalled: Recalled = NOTHING;
    let recovered = false;
    if (known !== undefined && !mayRead) recovered = known >= upto;
    else if (known !== undefined) {
      recalled = await recall(gateway, connection, room, {
        after: known,
        upto,
        take: "oldest",
        limit: config.maxHistoryPerReply,
      });
      recovered =
        known >= upto ||
        (recalled.firstPrev !== undefined && recalled.firstPrev <= known);
    }
    if (!recovered) {
      recalled = await recall(gateway, connection, room, {
        after: 0,
        upto,
        take: "latest",
        limit: latest,
      });
    }
    if (connection.closed) return false;
    // While reading, the slice may have gone on: then what was read is not all up to its position.
    const having = alreadyHas(connection, room, known);
    const place = room.slices.find(having);
    if ((place?.position ?? room.head) !== upto) continue;
    // Once more: it may be new.
    checkBan(gateway, connection, room.name);
    const before = connection.memberships.get(room.name);
    const slice = place ?? room.slices.add(room.pending.end, room.head);
    room.add(
      connection,
      slice,
      message.echo ?? true,
      rights,
      gateway.sanctions.until("mute", connection.user.id, room.name),
    );
    reply(gateway, connection, recalled, {
      action: "room_joined",
      ref: message.ref,
      room: room.name,
      epoch: broker.epoch,
      seq: upto,
      recovered,
      more: recalled.more,
      count: gateway.directory.count(room.name),
    });
    // Only now: the reply took along what the old slice had been given.
    if (before) room.leaveSlice(connection, before.slice);
    gateway.fanout.acknowledgeUpTo(room, connection, slice);
    return !before;
  }
  throw new ProtocolError(
    "unavailable",
    "the room moves faster than its history can be read; try again",
  );
}

export function forbidden(right: RightName, room: string): ProtocolError {
  return new ProtocolError(
    "forbidden",
    `this connection may not ${DEEDS[right]} room ${quote(room)}`,
  );
}

const DEEDS: { readonly [R in RightName]: string } = {
  join: "join",
  send: "send to",
  history: "read the history of",
  moderate: "moderate",
};

/** @throws ProtocolError */
function checkBan(
  { sanctions }: Gateway,
  { user }: Connection,
  room: string,
): void {
  if (sanctions.holds("ban", user.id, room, Date.now()))
    throw new ProtocolError(
      "banned",
      `you are banned from room ${quote(room)}`,
    );
}

const PLACE_ATTEMPTS = 50;
/** What is in the log comes to this gateway long before. */
const REACH_MS = 5000;

/**
 * The seq up to which the joiner has the room's log, where that is known. One that was at another gateway may be ahead of
 * this one, which then first catches up: to start behind it would send events twice.
 * @throws ProtocolError
 */
async function position(
  { broker }: Gateway,
  room: Room,
  { since }: ClientMessage<"join_room">,
): Promise<number | undefined> {
  if (!since || since.epoch !== broker.epoch) return undefined;
  if (since.seq <= room.head) return since.seq;
  if (!(await broker.reaches(room.name, since.seq))) return undefined;
  if (await room.reach(since.seq, REACH_MS)) return since.seq;
  throw new ProtocolError(
    "unavailable",
    "this server is behind the position given; try again",
    REACH_RETRY_MS,
  );
}

const REACH_RETRY_MS = 1000;

/**
 * A seq that the joiner has: from before it connected, or from the slice it is in. A slice behind it would send events
 * again.
 */
function alreadyHas(
  connection: Connection,
  room: Room,
  known: number | undefined,
): number {
  return Math.max(
    known ?? 0,
    connection.memberships.get(room.name)?.slice.position ?? 0,
  );
}
