import type { Peer } from "./connection.ts";

export interface DrainOptions {
  /** From the start to the last close, at most. */
  readonly timeoutMs: number;
  /** What clients get to leave on their own. */
  readonly graceMs: number;
  /** Connections in all, those of other gateways too: as many will come back. */
  readonly connections: number;
}

const WAVE_MS = 100;
/** Clients that come back all at once would be the next storm: they are spread over this much per connection. */
const SPREAD_MS_PER_PEER = 1;
const MAX_SPREAD_MS = 30_000;

/**
 * Sends everybody away without losing anything: tells them to reconnect after spread-out delays, gives them time to
 * leave, closes who stays with 1012 in waves. A connection with publishes that are not settled is closed last.
 */
export async function drainPeers(
  peers: ReadonlySet<Peer>,
  options: DrainOptions,
): Promise<void> {
  const started = performance.now();
  const left = (): number => options.timeoutMs - (performance.now() - started);
  const spread = Math.min(
    MAX_SPREAD_MS,
    1000 + options.connections * SPREAD_MS_PER_PEER,
  );
  for (const peer of peers) peer.sendAway(Math.round(Math.random() * spread));

  while (peers.size > 0 && performance.now() - started < options.graceMs)
    await Bun.sleep(20);

  // The last quarter of the time is for what does not close by itself.
  const waves = Math.max(1, Math.floor((left() * 0.75) / WAVE_MS));
  const perWave = Math.max(100, Math.ceil(peers.size / waves));
  while (peers.size > 0 && left() > 0) {
    let closed = 0;
    for (const peer of peers) {
      if (closed === perWave) break;
      if (peer.publishing > 0 && left() > WAVE_MS * 5) continue;
      peer.terminate(1012, "the server restarts");
      closed++;
    }
    await Bun.sleep(Math.min(WAVE_MS, Math.max(0, left())));
  }
}
