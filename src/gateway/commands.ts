import { RIGHTS, type RightName } from "../auth/rights.ts";
import type { Draft } from "../broker/broker.ts";
import { FOR_GOOD } from "../data/sanctions-file.ts";
import { ProtocolError, type Limit } from "../protocol/errors.ts";
import type {
  ClientAction,
  ClientMessage,
  Typing,
} from "../protocol/messages.ts";
import { checkData, checkId, checkText, quote } from "../protocol/validate.ts";
import { authenticate } from "./authenticate.ts";
import type { Connection } from "./connection.ts";
import type { Members } from "./directory.ts";
import type { Gateway } from "./gateway.ts";
import { getHistory } from "./history.ts";
import { forbidden, joinRoom } from "./join.ts";
import type { Membership } from "./room.ts";

/**
 * What a client may ask for. The shape of the message is checked before, the rate by `cost`, and membership where `run`
 * takes one. A handler that returns a promise holds the connection's next frames back until it settles.
 */
type Command<A extends ClientAction> = {
  readonly cost: "message" | "request";
} & (
  | {
      readonly needs: "member";
      /** What the membership must allow besides. */
      readonly right?: RightName;
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
  send_message: {
    cost: "message",
    needs: "member",
    right: "send",
    run: sendMessage,
  },
  get_history: {
    cost: "request",
    needs: "member",
    right: "history",
    run: getHistory,
  },
  get_members: { cost: "request", needs: "member", run: getMembers },
  typing: { cost: "request", needs: "member", right: "send", run: typing },
  authenticate: { cost: "request", needs: "nothing", run: authenticate },
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
  spend(gateway, connection, command.cost);
  if (command.needs === "nothing")
    return command.run(gateway, connection, message);
  const { room } = message as { room: string };
  const membership = connection.membership(room);
  const { right } = command;
  if (right && !(membership.rights & RIGHTS[right]))
    throw forbidden(right, room);
  return command.run(gateway, connection, message, membership);
}

/** @throws ProtocolError rate_limited */
function spend(
  gateway: Gateway,
  connection: Connection,
  cost: "message" | "request",
): void {
  const now = performance.now();
  const bucket =
    cost === "message" ? connection.messages(now) : connection.requests(now);
  let wait = bucket.take(now);
  let limit: Limit = `max_${cost}s_per_second`;
  if (wait === 0 && cost === "message") {
    connection.userMessages ??= gateway.userRates.hold(connection.user.id, now);
    wait = connection.userMessages.take(now);
    limit = "max_messages_per_second_per_user";
  }
  if (wait > 0) throw rateLimited(`${cost}s`, wait, limit);
}

export function rateLimited(
  what: "messages" | "requests" | "bytes",
  wait: number,
  limit: Limit = `max_${what}_per_second`,
): ProtocolError {
  return new ProtocolError(
    "rate_limited",
    `too many ${what}; try again in ${wait} ms`,
    wait,
    limit,
  );
}

function sendMessage(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"send_message">,
  membership: Membership,
): void {
  const { config } = gateway;
  const { room } = membership;
  if (connection.mutedUntil > 0 || membership.mutedUntil > 0)
    checkMute(connection, membership, Date.now());
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
  gateway.broker.publish(
    draft,
    { connection, ref: message.ref, id: message.id, at: now },
    gateway.published,
  );
}

const OVERLOADED_RETRY_MS = 1000;

/** @throws ProtocolError */
function checkMute(
  { mutedUntil }: Connection,
  membership: Membership,
  now: number,
): void {
  const until = Math.max(mutedUntil, membership.mutedUntil);
  if (until <= now) return;
  const end =
    until === FOR_GOOD ? "" : ` until ${new Date(until).toISOString()}`;
  throw new ProtocolError(
    "muted",
    `you may not send to room ${quote(membership.room.name)}${end}`,
    until === FOR_GOOD ? undefined : until - now,
  );
}

function leaveRoom(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"leave_room">,
  membership: Membership,
): void {
  // The answer first: it takes along the events that were published before.
  connection.send({
    action: "room_left",
    ref: message.ref,
    room: message.room,
  });
  gateway.leave(connection, membership);
}

function getMembers(
  { directory }: Gateway,
  connection: Connection,
  { room, ref }: ClientMessage<"get_members">,
): void | Promise<void> {
  const answer = ({ count, members }: Members): void =>
    connection.send({ action: "members", ref, room, count, members });
  const found = directory.members(room);
  return found instanceof Promise ? found.then(answer) : answer(found);
}

function typing(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"typing">,
  { room, mutedUntil }: Membership,
): void {
  if (Math.max(connection.mutedUntil, mutedUntil) > Date.now()) return;
  // In a large room it would cost thousands of deliveries for a word nobody can read.
  const { config, directory } = gateway;
  if (directory.count(room.name) > config.presenceDetailUsers) return;
  if (room.tooBusyForNotes) return;
  const note: Typing = {
    action: "typing",
    room: room.name,
    user: connection.user.id,
    from: connection.user.name,
    active: message.active,
  };
  const origin = { connection, ref: undefined, id: undefined, at: 0 };
  gateway.note(room, note, origin);
  directory.relay(note);
}

function ping(
  _gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"ping">,
): void {
  connection.send({ action: "pong", ref: message.ref });
}
