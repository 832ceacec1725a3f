import type { Connection } from "./connection.ts";
import type { Gateway } from "./gateway.ts";
import { Liveness } from "./liveness.ts";

/** What has to be looked after now and then: dead peers, idle rooms, unsent bytes in all. */
export function startHousekeeping(gateway: Gateway): Timer {
  const { config, connections, rooms } = gateway;
  const liveness = new Liveness(
    config,
    (connection) => connection.socket.ping(),
    // No Close frame: nobody would read it, and a close would wait for an answer.
    (connection) => connection.socket.terminate(),
  );
  return setInterval(() => {
    const now = performance.now();
    liveness.sweep(connections, now);
    rooms.sweep(now);
    closeSlowest(connections, config.maxBufferedBytes);
  }, liveness.intervalMs);
}

/** Each connection's unsent bytes are bounded by Bun; this bounds them all together. */
export function closeSlowest(
  connections: ReadonlySet<Connection>,
  maxBytes: number,
): void {
  if (maxBytes === Infinity) return;
  let total = 0;
  const slow: { connection: Connection; bytes: number }[] = [];
  for (const connection of connections) {
    const bytes = connection.socket.getBufferedAmount();
    if (bytes === 0) continue;
    total += bytes;
    slow.push({ connection, bytes });
  }
  if (total <= maxBytes) return;
  slow.sort((a, b) => b.bytes - a.bytes);
  for (const { connection, bytes } of slow) {
    if (total <= maxBytes) return;
    total -= bytes;
    // A close in good order would wait behind the bytes that are too many.
    connection.socket.terminate();
  }
}
