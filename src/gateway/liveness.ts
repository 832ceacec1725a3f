import type { Connection } from "./connection.ts";

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
    private readonly ping: (connection: Connection) => void,
    private readonly gone: (connection: Connection) => void,
  ) {
    this.intervalMs = Math.min(
      1000,
      Math.max(20, Math.min(options.pingIntervalMs, options.pingTimeoutMs) / 8),
    );
  }

  /** @param now the clock that `seenAt` and `pingedAt` were taken from, in ms */
  sweep(connections: ReadonlySet<Connection>, now: number): void {
    const { pingIntervalMs, pingTimeoutMs } = this.options;
    // Connections that came in one storm would all be pinged in one turn: spread them over the sweeps.
    let pings = Math.max(
      64,
      Math.ceil((connections.size * this.intervalMs * 4) / pingIntervalMs),
    );
    for (const connection of connections) {
      const { seenAt, pingedAt } = connection;
      if (pingedAt > seenAt) {
        if (now - pingedAt >= pingTimeoutMs) this.gone(connection);
      } else if (now - seenAt >= pingIntervalMs && pings > 0) {
        pings--;
        connection.pingedAt = now;
        this.ping(connection);
      }
    }
  }
}
