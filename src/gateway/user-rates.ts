import { Bucket } from "./bucket.ts";

interface Held {
  readonly bucket: Bucket;
  connections: number;
}

/** One bucket of messages for all connections of a user. Kept while one of them that has sent is there. */
export class UserRates {
  readonly #byUser = new Map<string, Held>();

  constructor(private readonly perSecond: number) {}

  get size(): number {
    return this.#byUser.size;
  }

  /** The user's bucket, for one more connection: a `release` must follow. */
  hold(user: string, now: number): Bucket {
    let held = this.#byUser.get(user);
    if (!held) {
      held = {
        bucket: new Bucket(this.perSecond, 2 * this.perSecond, now),
        connections: 0,
      };
      this.#byUser.set(user, held);
    }
    held.connections++;
    return held.bucket;
  }

  release(user: string): void {
    const held = this.#byUser.get(user);
    if (held && --held.connections === 0) this.#byUser.delete(user);
  }
}
