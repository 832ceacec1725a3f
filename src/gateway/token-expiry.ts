import type { Connection } from "./connection.ts";

/**
 * Warns connections whose token is about to expire, and closes those whose has. To be called once a second or so.
 * @param now ms since 1970
 */
export function sweepTokens(
  connections: ReadonlySet<Connection>,
  now: number,
): void {
  for (const connection of connections) {
    const { access } = connection;
    if (now >= access.expiresAt)
      connection.terminate(4011, "the token has expired");
    else if (now >= access.warnAt && connection.warnedOf !== access) {
      connection.warnedOf = access;
      connection.send({
        action: "token_expires",
        after_ms: access.expiresAt - now,
      });
    }
  }
}
