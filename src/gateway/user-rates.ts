import { Bucket } from "./bucket.ts";

/** Users without a connection whose buckets are remembered; of more, those who left first are forgotten. */
export const MAX_GONE = 10_000;
const BURST_SECONDS = 2;

interface Held {
  readonly bucket: Bucket;
  connections: number;
  /** When the last connection left. */
  goneAt: number;
}

/**
 * One bucket of messages for all connections of a user. It outlives them until it would be full anyway: who comes back
 * must not find it full sooner.
 */
export class UserRates {
  readonly #byUser = new Map<string, Held>();
  /** Those without a connection, who left first first. */
  readonly #gone = new Map<string, Held>();

  constructor(private readonly perSecond: number) {}

  /** Users with a connection that has sent. */
  get size(): number {
    return this.#byUser.size;
  }

  /** The user's bucket, for one more connection: a `release` must follow. */
  hold(user: string, now: number): Bucket {
    this.#forget(now);
    const held = this.#byUser.get(user) ??
      this.#gone.get(user) ?? {
        bucket: new Bucket(this.perSecond, BURST_SECONDS * this.perSecond, now),
        connections: 0,
        goneAt: 0,
      };
    this.#gone.delete(user);
    this.#byUser.set(user, held);
    held.connections++;
    return held.bucket;
  }

  release(user: string, now: number): void {
    const held = this.#byUser.get(user);
    if (!held || --held.connections > 0) return;
    this.#byUser.delete(user);
    held.goneAt = now;
    this.#gone.set(user, held);
    this.#forget(now);
  }

  #forget(now: number): void {
    for (const [user, { goneAt }] of this.#gone) {
      if (this.#gone.size <= MAX_GONE && now - goneAt < BURST_SECONDS * 1000)
        break;
      this.#gone.delete(user);
    }
  }
}
