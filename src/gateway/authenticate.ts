import { RIGHTS } from "../auth/rights.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { ClientMessage } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import type { Gateway } from "./gateway.ts";

/**
 * `authenticate` on a connection that has a user: another token of that user takes the place of its first. Rooms stay as
 * they are, with the new rights; those that the new token does not open are left.
 * @throws ProtocolError (as a rejection)
 */
export async function authenticate(
  gateway: Gateway,
  connection: Connection,
  message: ClientMessage<"authenticate">,
): Promise<void> {
  const bearer = await gateway.auth.verify(message.token);
  if (connection.closed) return;
  if (bearer.user.id !== connection.user.id)
    throw new ProtocolError(
      "forbidden",
      "the token is another user's: connect with it",
    );
  connection.access = bearer;
  for (const membership of connection.memberships.values()) {
    membership.rights = bearer.grants.of(membership.room.name);
    if (membership.rights & RIGHTS.join) continue;
    // First, as always where somebody leaves: it takes along the events that were published before.
    connection.send({
      action: "room_left",
      room: membership.room.name,
      code: "forbidden",
      message: "the token does not open this room any more",
    });
    gateway.leave(connection, membership);
  }
  connection.send({
    action: "authenticated",
    ref: message.ref,
    user: connection.user,
    expires_in_ms: Math.max(0, bearer.expiresAt - Date.now()),
  });
}
