import type { Sanction, SanctionStore } from "../data/sanctions-file.ts";
import type { Reach } from "../gateway/orders.ts";
import {
  MAX_SANCTIONS,
  SanctionsFull,
  type SanctionKeeper,
  type Sanctions,
} from "../gateway/sanctions.ts";
import { ApiError } from "./answer.ts";

const SWEEP_MS = 60_000;

/** Imposes and lifts sanctions of a server alone: kept first, then known, then carried out wherever the user is. */
export class SanctionBook implements SanctionKeeper {
  readonly #timer: Timer;

  /** @param list known by all gateways of this thread already; it is filled from the store */
  constructor(
    readonly list: Sanctions,
    private readonly store: SanctionStore,
    private readonly reach: Reach,
    /** Told when ended sanctions cannot be taken from the store. */
    private readonly onFailure: (error: unknown) => void = () => {},
  ) {
    for (const sanction of store.all()) list.set(sanction);
    this.#timer = setInterval(() => this.sweep(Date.now()), SWEEP_MS);
    this.#timer.unref();
  }

  /**
   * @returns how many connections it was about
   * @throws ApiError (as a rejection)
   */
  async impose(sanction: Sanction): Promise<number> {
    const { kind, user, room } = sanction;
    if (
      this.list.count >= MAX_SANCTIONS &&
      this.list.until(kind, user, room) === 0
    )
      this.sweep(Date.now());
    if (
      this.list.count >= MAX_SANCTIONS &&
      this.list.until(kind, user, room) === 0
    )
      throw new ApiError(409, "too_many", new SanctionsFull().message);
    this.#keep(() => this.store.save(sanction));
    this.list.set(sanction);
    return await this.reach.carryOut({ act: "sanction", ...sanction });
  }

  /**
   * @returns whether there was one
   * @throws ApiError (as a rejection)
   */
  async lift(what: Omit<Sanction, "until">): Promise<boolean> {
    if (this.list.until(what.kind, what.user, what.room) <= Date.now())
      return false;
    this.#keep(() => this.store.remove(what));
    this.list.lift(what);
    await this.reach.carryOut({ act: "sanction", ...what, until: 0 });
    return true;
  }

  /** Forgets those that have ended: nothing else has to happen then. */
  sweep(now: number): void {
    this.list.sweep(now);
    try {
      // Not those that were swept here: a gateway of this thread sweeps the same list.
      this.store.removeEnded(now);
    } catch (error) {
      // They are read again at the next start, and have ended all the same.
      this.onFailure(error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.store.close();
  }

  #keep(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw new ApiError(
        503,
        "unavailable",
        `not stored: ${(error as Error).message}`,
        {},
        1000,
      );
    }
  }
}
