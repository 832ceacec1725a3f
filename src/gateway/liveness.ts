import type { Peer } from "./connection.ts";

export interface LivenessOptions {
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/**
 * Finds connections that are gone. Bun's own idle timeout cannot: every successful send re-arms it, so that a server
 * that keeps publishing never notices a half-open peer.
 */
export class Liveness {
  /** How often `sweep` should be called, in ms. */
  readonly intervalMs: number;

  constructor(
    private readonly options: LivenessOptions,
    private readonly ping: (peer: Peer) => void,
    private readonly gone: (peer: Peer) => void,
  ) {
    this.intervalMs = Math.min(
      1000,
      Math.max(20, Math.min(options.pingIntervalMs, options.pingTimeoutMs) / 8),
    );
  }

  /** @param now the clock that `seenAt` and `pingedAt` were taken from, in ms */
  sweep(peers: ReadonlySet<Peer>, now: number): void {
    const { pingIntervalMs, pingTimeoutMs } = this.options;
    // Connections that came in one storm would all be pinged in one turn: spread them over the sweeps.
    let pings = Math.max(
      64,
      Math.ceil((peers.size * this.intervalMs * 4) / pingIntervalMs),
    );
    for (const peer of peers) {
      const { seenAt, pingedAt } = peer;
      if (pingedAt > seenAt) {
        if (now - pingedAt >= pingTimeoutMs) this.gone(peer);
      } else if (now - seenAt >= pingIntervalMs && pings > 0) {
        pings--;
        peer.pingedAt = now;
        this.ping(peer);
      }
    }
  }
}
