import type { Frame } from "../protocol/codec.ts";
import type { GatewayStats } from "../stats/gateway-stats.ts";
import type { Peer } from "./connection.ts";

/** What leaves for sockets is counted here, and who does not take it. */
export class Outlet {
  #looking = false;
  /** They are found before their sockets are closed, perhaps more than once. */
  readonly #found = new WeakSet<Peer>();

  constructor(
    readonly stats: GatewayStats,
    private readonly peers: ReadonlySet<Peer>,
    private readonly backpressureLimitBytes: number,
  ) {}

  /**
   * @param result what Bun's `send` or `publish` gave: the payload's bytes, -1 where they wait, 0 where some socket had too
   *   much waiting
   * @param members how many sockets it was for; not 0
   */
  sent(result: number, frame: Frame, members: number): void {
    const bytes =
      result > 0
        ? result
        : typeof frame === "string"
          ? Buffer.byteLength(frame)
          : frame.length;
    this.stats.bytesOut += bytes * members;
    if (result === 0 && !this.#looking) {
      this.#looking = true;
      // After everything that leaves in this task, before Bun closes who did not take it.
      queueMicrotask(this.#look);
    }
  }

  /** The close itself tells nothing: its code is the one of a lost connection. */
  readonly #look = (): void => {
    this.#looking = false;
    for (const peer of this.peers) {
      if (peer.socket.getBufferedAmount() <= this.backpressureLimitBytes)
        continue;
      if (this.#found.has(peer)) continue;
      this.#found.add(peer);
      this.stats.slowConsumers++;
    }
  };
}
