import type { Peer } from "./connection.ts";

export interface DrainOptions {
  /** From the start to the last close, at most. */
  readonly timeoutMs: number;
  /** What clients get to leave on their own, from the start. */
  readonly graceMs: number;
  /** Connections in all, those of other gateways too: as many will come back. */
  readonly connections: number;
}

const WAVE_MS = 100;
const MIN_PER_WAVE = 100;
/** Clients that go or come back all at once would be a storm: they are spread over this much per connection. */
const SPREAD_MS_PER_PEER = 1;
const MIN_SPREAD_MS = 1000;
/** A server that is started anew listens by then: who comes sooner would find nobody, and come again with the others. */
const RESTART_MS = 1000;
const MAX_SPREAD_MS = 30_000;

/**
 * Sends everybody away without losing anything: asks in waves to leave and to come back after spread-out delays, gives time
 * to leave, closes who stays with 1012 in waves. A connection with publishes that are not settled is closed last.
 */
export async function drainPeers(
  peers: ReadonlySet<Peer>,
  { timeoutMs, graceMs, connections }: DrainOptions,
): Promise<void> {
  const started = performance.now();
  const left = (): number => timeoutMs - (performance.now() - started);

  // Half of the grace at most: those who are asked last need time too.
  await askToLeave(peers, graceMs / 2, connections);
  while (peers.size > 0 && performance.now() - started < graceMs)
    await Bun.sleep(20);

  // The last quarter of the time is for what does not close by itself.
  const perWave = waveOf(peers.size, left() * 0.75);
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

/**
 * Nobody is asked to be back before the last one has been asked and a new server can be there. Then they come in the order in which they went,
 * each wave in a part of the time that is its own, each client at a moment in it that is its own.
 */
async function askToLeave(
  peers: ReadonlySet<Peer>,
  mostMs: number,
  connections: number,
): Promise<void> {
  const spreadMs = Math.min(
    MAX_SPREAD_MS,
    MIN_SPREAD_MS + connections * SPREAD_MS_PER_PEER,
  );
  const perWave = waveOf(
    peers.size,
    Math.min(mostMs, peers.size * SPREAD_MS_PER_PEER),
  );
  const waves = Math.ceil(peers.size / perWave);
  // One walk over all waves: it passes over who has gone, and comes to who was let in at the last moment.
  const walk = peers.values();
  for (let wave = 0; ; wave++) {
    const later = Math.max(0, waves - 1 - wave) * WAVE_MS;
    for (let asked = 0; asked < perWave; asked++) {
      const { value: peer, done } = walk.next();
      if (done) return;
      const part = Math.min(1, (wave + Math.random()) / waves);
      peer.sendAway(Math.round(later + RESTART_MS + part * spreadMs));
    }
    await Bun.sleep(WAVE_MS);
  }
}

/** How many make one wave, so that all have their turn within a time. */
const waveOf = (count: number, withinMs: number): number =>
  Math.max(
    MIN_PER_WAVE,
    Math.ceil(count / Math.max(1, Math.floor(withinMs / WAVE_MS))),
  );
