import { BrokerError, type Draft, type Published } from "../broker/broker.ts";
import type { Frame } from "../protocol/codec.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type {
  ClientAction,
  ClientMessage,
  ReplyWithMessages,
} from "../protocol/messages.ts";
import {
  MAX_ROOM_BYTES,
  checkData,
  checkId,
  checkName,
  checkText,
  quote,
} from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import { noteEntry } from "./entry.ts";
import { acknowledge } from "./fanout.ts";
import type { Gateway } from "./gateway.ts";
import { NOTHING, type Recalled, type Wanted } from "./recall.ts";
import type { Membership, Room } from "./room.ts";

/**
 * What a client may ask for. The shape of the message is checked before, the rate by `cost`, and membership where `run`
 * takes one. A handler that returns a promise holds the connection's next frames back until it settles.
 */
type Command<A extends ClientAction> = {
  readonly cost: "message" | "request";
} & (
  | {
      readonly needs: "member";
      readonly run: (
        gateway: Gateway,
        connection: Connection,
        message: ClientMessage<A>,
        membership: Membership,
      ) => void | Promise<void>;
    }
  | {
      readonly needs: "nothing";
      readonly run: (
        gateway: Gateway,
        connection: Connection,
        message: ClientMessage<A>,
      ) => void | Promise<void>;
    }
);

const COMMANDS: { readonly [A in ClientAction]: Command<A> } = {
  join_room: { cost: "request", needs: "nothing", run: joinRoom },
  leave_room: { cost: "request", needs: "member", run: leaveRoom },
  send_message: { cost: "message", needs: "member", run: sendMessage },
  get_history: { cost: "request", needs: "member", run: getHistory },
  get_members: { cost: "request", needs: "member", run: getMembers },
  typing: { cost: "request", needs: "member", run: typing },
  ping: { cost: "request", needs: "nothing", run: ping },
};

/**
 * Runs one request whose shape is valid.
 * @throws ProtocolError
 */
export function runCommand(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage,
): void | Promise<void> {
  const command = COMMANDS[message.action] as Command<any>;
  spend(connection, command.cost);
  if (command.needs === "nothing")
    return command.run(gateway, connection, message);
  const { room } = message as { room: string };
  const membership = connection.memberships.get(room);
  if (!membership) {
    checkName("room", room, MAX_ROOM_BYTES);
    throw new ProtocolError(
      "not_joined",
      `this connection is not in room ${quote(room)}: join it first`,
    );
  }
  return command.run(gateway, connection, message, membership);
}

function spend(connection: Connection, cost: "message" | "request"): void {
  const now = performance.now();
  const bucket =
    cost === "message" ? connection.messages(now) : connection.requests(now);
  const wait = bucket.take(now);
  if (wait > 0)
    throw new ProtocolError(
      "rate_limited",
      `too many ${cost}s; try again in ${wait} ms`,
      wait,
    );
}

function sendMessage(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"send_message">,
  { room }: Membership,
): void {
  const { config } = gateway;
  checkText(message.text, config.maxTextBytes);
  if (message.id !== undefined) checkId(message.id);
  const dataJson =
    message.data === undefined
      ? undefined
      : checkData(message.data, config.maxDataBytes);
  const now = performance.now();
  if (room.overloaded(now))
    throw new ProtocolError(
      "overloaded",
      `room ${quote(room.name)} receives more than it can pass on`,
      OVERLOADED_RETRY_MS,
    );
  const draft: Draft = {
    room: room.name,
    user: connection.user.id,
    from: connection.user.name,
    text: message.text,
    id: message.id,
    data: message.data,
    dataJson,
  };
  room.publishing++;
  connection.publishing++;
  const { ref } = message;
  gateway.broker.publish(draft, { connection, ref }).then(
    (published) => {
      settled(gateway, room, connection);
      if (published.duplicate)
        acknowledgeRepeat(gateway, room, connection, message, published);
    },
    (error: unknown) => {
      settled(gateway, room, connection);
      if (!(error instanceof BrokerError)) throw error;
      connection.send({
        action: "error",
        ref,
        code: error.code,
        message: error.message,
        retry_after_ms: error.retryAfterMs,
      });
    },
  );
}

const OVERLOADED_RETRY_MS = 1000;

function settled(gateway: Gateway, room: Room, connection: Connection): void {
  room.publishing--;
  connection.publishing--;
  gateway.rooms.settle(room);
}

/** A repeat's ack moves no position, so that it needs to wait for no turn. The first one's ack leaves with its event. */
function acknowledgeRepeat(
  gateway: Gateway,
  room: Room,
  connection: Connection,
  { ref, id }: ClientMessage<"send_message">,
  { seq, ts }: Published,
): void {
  acknowledge(connection, {
    action: "message_sent",
    ref,
    room: room.name,
    id,
    seq,
    epoch: gateway.broker.epoch,
    ts,
    duplicate: true,
  });
}

async function joinRoom(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"join_room">,
): Promise<void> {
  checkName("room", message.room, MAX_ROOM_BYTES);
  const { config, rooms } = gateway;
  if (
    !connection.memberships.has(message.room) &&
    connection.memberships.size >= config.maxRoomsPerConnection
  )
    throw new ProtocolError(
      "too_many_rooms",
      `a connection may be in ${config.maxRoomsPerConnection} rooms: leave one first`,
    );
  // The hold is the membership's once it exists, so that a room with members is never forgotten.
  const room = rooms.hold(message.room);
  let joined = false;
  try {
    await room.ready;
    await gateway.meter.turn();
    joined = await place(gateway, connection, room, message);
  } finally {
    if (!joined) rooms.release(room);
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
): Promise<boolean> {
  const { broker, config } = gateway;
  const since = message.since;
  const known =
    since && since.epoch === broker.epoch && since.seq <= room.head
      ? since.seq
      : undefined;
  const latest = Math.min(message.history ?? 0, config.maxHistoryPerReply);
  for (let attempt = 0; attempt < PLACE_ATTEMPTS; attempt++) {
    if (connection.closed) return false;
    const atLeast = alreadyHas(connection, room, known);
    const upto = room.slices.find(atLeast)?.position ?? room.head;
    let recalled: Recalled = NOTHING;
    let recovered = false;
    if (known !== undefined) {
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
    const before = connection.memberships.get(room.name);
    const slice = place ?? room.slices.add(room.pending.end, room.head);
    room.add(connection, slice, message.echo ?? true);
    if (!before) {
      room.presence.join(connection.user);
      gateway.presenceChanged(room);
    }
    reply(gateway, connection, recalled, {
      action: "room_joined",
      ref: message.ref,
      room: room.name,
      epoch: broker.epoch,
      seq: upto,
      recovered,
      more: recalled.more,
      count: room.presence.count,
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

const PLACE_ATTEMPTS = 50;

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

/** Like `gateway.recall.get`, without a turn of the microtask queue where the answer is at hand. */
function recall(
  gateway: Gateway,
  connection: Connection,
  room: Room,
  wanted: Wanted,
): Recalled | Promise<Recalled> {
  return gateway.recall.get(room, connection.codec, wanted, performance.now());
}

function reply(
  gateway: Gateway,
  connection: Connection,
  recalled: Recalled,
  head: ReplyWithMessages,
): void {
  const frame: Frame | null = connection.codec.encodeReply(head, recalled.body);
  if (frame === null) return;
  connection.sendFrame(frame);
  gateway.meter.spend(recalled.bytes);
}

function leaveRoom(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"leave_room">,
  membership: Membership,
): void {
  gateway.leave(connection, membership);
  connection.send({
    action: "room_left",
    ref: message.ref,
    room: message.room,
  });
}

async function getHistory(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"get_history">,
): Promise<void> {
  const { before, after } = message;
  if (before !== undefined && after !== undefined)
    throw new ProtocolError(
      "invalid_field",
      "before and after cannot both be given",
    );
  await gateway.meter.turn();
  const membership = connection.memberships.get(message.room);
  if (connection.closed || !membership) return;
  // Up to where the connection's slice is: what lies beyond comes live, in its place.
  const upto = membership.slice.position;
  const recalled = await recall(gateway, connection, membership.room, {
    after: after ?? 0,
    upto: before === undefined ? upto : Math.min(upto, before - 1),
    take: after === undefined ? "latest" : "oldest",
    limit: Math.min(
      message.limit ?? Infinity,
      gateway.config.maxHistoryPerReply,
    ),
  });
  reply(gateway, connection, recalled, {
    action: "history",
    ref: message.ref,
    room: message.room,
    epoch: gateway.broker.epoch,
    more: recalled.more,
  });
}

function getMembers(
  _gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"get_members">,
  { room }: Membership,
): void {
  connection.send({
    action: "members",
    ref: message.ref,
    room: room.name,
    count: room.presence.count,
    members: room.presence.list(),
  });
}

function typing(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"typing">,
  { room }: Membership,
): void {
  // In a large room it would cost thousands of deliveries for a word nobody can read.
  if (room.presence.count > gateway.config.presenceDetailUsers) return;
  const entry = noteEntry(
    {
      action: "typing",
      room: room.name,
      user: connection.user.id,
      from: connection.user.name,
      active: message.active,
    },
    performance.now(),
  );
  entry.origin = { connection, ref: undefined };
  gateway.fanout.push(room, entry);
}

function ping(
  _gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"ping">,
): void {
  connection.send({ action: "pong", ref: message.ref });
}
