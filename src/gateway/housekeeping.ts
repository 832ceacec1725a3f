import type { Peer } from "./connection.ts";
import type { Gateway } from "./gateway.ts";
import { Liveness } from "./liveness.ts";
import { sweepTokens } from "./token-expiry.ts";

/** What has to be looked after now and then: dead peers, expired tokens, idle rooms, unsent bytes in all. */
export function startHousekeeping(gateway: Gateway): Timer {
  const { config, peers, rooms, sanctions } = gateway;
  const liveness = new Liveness(
    config,
    (peer) => peer.socket.ping(),
    // No Close frame: nobody would read it, and a close would wait for an answer.
    (peer) => peer.socket.terminate(),
  );
  return setInterval(() => {
    const now = performance.now();
    liveness.sweep(peers, now);
    rooms.sweep(now);
    if (gateway.auth.takesTokens) sweepTokens(gateway.connections, Date.now());
    sanctions.sweep(Date.now());
    for (const peer of closeSlowest(peers, config.maxBufferedBytes))
      gateway.outlet.slow(peer);
  }, liveness.intervalMs);
}

/**
 * Each connection's unsent bytes are bounded by Bun; this bounds them all together.
 * @returns whom it closed
 */
export function closeSlowest(
  peers: ReadonlySet<Peer>,
  maxBytes: number,
): readonly Peer[] {
  if (maxBytes === Infinity) return [];
  let total = 0;
  const slow: { peer: Peer; bytes: number }[] = [];
  for (const peer of peers) {
    const bytes = peer.socket.getBufferedAmount();
    if (bytes === 0) continue;
    total += bytes;
    slow.push({ peer, bytes });
  }
  if (total <= maxBytes) return [];
  slow.sort((a, b) => b.bytes - a.bytes);
  const closed: Peer[] = [];
  for (const { peer, bytes } of slow) {
    if (total <= maxBytes) break;
    total -= bytes;
    closed.push(peer);
    // A close in good order would wait behind the bytes that are too many.
    peer.socket.terminate();
  }
  return closed;
}
