import type { Frame } from "../protocol/codec.ts";
import type { GatewayStats } from "../stats/gateway-stats.ts";
import type { Peer } from "./connection.ts";

/** A look over all sockets may take so much of the time. */
const LOOKING_SHARE = 0.01;
/** What a lost connection and a slow consumer are closed with. */
const LOST = 1006;

/**
 * What leaves for sockets is counted here, and who does not take it.
 *
 * Bun closes a slow consumer with the code of a lost connection and says no more. So while bytes wait somewhere, all sockets
 * are looked at: one that is above the limit will be closed, and one that ended soon after it was above half of it was.
 */
export class Outlet {
  #looking = false;
  #nextLookAt = -Infinity;
  readonly #behind = new Set<Peer>();
  /** Closed in a moment. */
  readonly #counted = new WeakSet<Peer>();

  constructor(
    readonly stats: GatewayStats,
    private readonly peers: ReadonlySet<Peer>,
    private readonly backpressureLimitBytes: number,
  ) {}

  /**
   * @param result what Bun's `send` or `publish` gave: the payload's bytes, -1 where some wait, 0 where a socket was above the
   *   limit
   * @param members how many sockets it was for; not 0
   */
  sent(result: number, frame: Frame, members: number): void {
    if (result > 0) {
      this.stats.bytesOut += result * members;
      return;
    }
    const bytes =
      typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
    this.stats.bytesOut += bytes * members;
    if (this.#looking) return;
    if (result < 0 && performance.now() < this.#nextLookAt) return;
    this.#looking = true;
    // After everything that leaves in this task, and before Bun closes who did not take it.
    queueMicrotask(this.#look);
  }

  /** A connection is closed for too many unsent bytes. */
  slow(peer: Peer): void {
    if (this.#counted.has(peer)) return;
    this.#counted.add(peer);
    this.stats.slowConsumers++;
  }

  /** A socket has taken some of what waited for it. */
  drained(peer: Peer): void {
    if (this.#behind.size > 0 && !this.#isBehind(peer))
      this.#behind.delete(peer);
  }

  /** A connection ended that nobody here closed otherwise. */
  ended(peer: Peer, code: number): void {
    if (this.#behind.delete(peer) && code === LOST) this.slow(peer);
  }

  readonly #look = (): void => {
    this.#looking = false;
    const began = performance.now();
    this.#behind.clear();
    for (const peer of this.peers) {
      const bytes = peer.socket.getBufferedAmount();
      if (bytes > this.backpressureLimitBytes) this.slow(peer);
      else if (bytes > this.backpressureLimitBytes / 2) this.#behind.add(peer);
    }
    const now = performance.now();
    this.#nextLookAt = now + (now - began) / LOOKING_SHARE;
  };

  #isBehind(peer: Peer): boolean {
    return peer.socket.getBufferedAmount() > this.backpressureLimitBytes / 2;
  }
}
