import { Bucket } from "./bucket.ts";

/** Addresses that are remembered; of more, those that were quiet for longest are forgotten. */
export const MAX_ADDRESSES = 10_000;
/** Everybody behind one address may come back at once after a restart. */
const BURST_SECONDS = 10;

/** How often each address may knock, whatever becomes of it: a look at a token costs much more than a refusal. */
export class Handshakes {
  /** Longest quiet first. */
  readonly #byAddress = new Map<string, Bucket>();

  constructor(private readonly perSecond: number) {}

  /** @returns 0, or the ms to wait before the next one */
  take(address: string, now: number): number {
    if (this.perSecond === Infinity) return 0;
    const bucket =
      this.#byAddress.get(address) ??
      new Bucket(this.perSecond, BURST_SECONDS * this.perSecond, now);
    this.#byAddress.delete(address);
    this.#byAddress.set(address, bucket);
    if (this.#byAddress.size > MAX_ADDRESSES)
      this.#byAddress.delete(this.#byAddress.keys().next().value!);
    return bucket.take(now);
  }
}
