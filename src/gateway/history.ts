import type { Frame } from "../protocol/codec.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { ClientMessage, ReplyWithMessages } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import type { Gateway } from "./gateway.ts";
import type { Recalled, Wanted } from "./recall.ts";
import type { Room } from "./room.ts";

/**
 * `get_history`
 * @throws ProtocolError
 */
export async function getHistory(
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
  if (connection.closed) return;
  const membership = connection.membership(message.room);
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
  // Who was taken out meanwhile reads nothing any more.
  connection.membership(message.room);
  reply(gateway, connection, recalled, {
    action: "history",
    ref: message.ref,
    room: message.room,
    epoch: gateway.broker.epoch,
    more: recalled.more,
  });
}

/** Events of a room as this connection's codec has them. */
export function recall(
  gateway: Gateway,
  connection: Connection,
  room: Room,
  wanted: Wanted,
): Recalled | Promise<Recalled> {
  return gateway.recall.get(room, connection.codec, wanted, performance.now());
}

/** Sends a reply that ends with events, and counts what it took. */
export function reply(
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
