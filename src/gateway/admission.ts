import type { NoPlace } from "./directory.ts";

/** Counts connections, in all and per address; a refused one costs nothing. */
export class AdmissionCount {
  #all = 0;
  readonly #byAddress = new Map<string, number>();

  constructor(
    private readonly max: number,
    private readonly maxPerAddress: number,
  ) {}

  /** @returns why there is no place, or undefined where one was taken; `leave` gives it back */
  enter(address: string): NoPlace | undefined {
    if (this.#all >= this.max)
      return {
        code: "too_many_connections",
        message: `the server has as many connections as it may have (${this.max})`,
        limit: "max_connections",
      };
    const here = this.#byAddress.get(address) ?? 0;
    if (here >= this.maxPerAddress)
      return {
        code: "too_many_connections",
        message: `this address has as many connections as it may have (${this.maxPerAddress})`,
        limit: "max_connections_per_address",
      };
    this.#all++;
    this.#byAddress.set(address, here + 1);
    return undefined;
  }

  leave(address: string): void {
    this.#all--;
    const here = (this.#byAddress.get(address) ?? 1) - 1;
    if (here > 0) this.#byAddress.set(address, here);
    else this.#byAddress.delete(address);
  }
}
