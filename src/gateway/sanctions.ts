import { BrokerError, type Draft } from "../broker/broker.ts";
import type { Sanction, SanctionKind } from "../data/sanctions-file.ts";
import { quote } from "../protocol/validate.ts";

/** Bans and mutes there may be. */
export const MAX_SANCTIONS = 100_000;

export class SanctionsFull extends Error {
  constructor() {
    super(`there are ${MAX_SANCTIONS} bans and mutes: lift some first`);
  }
}

/** Who imposes and lifts sanctions for good, at whichever server their users are. */
export interface SanctionKeeper {
  /** Those that hold here. */
  readonly list: Sanctions;
  /**
   * In the place of one of the same kind, user and room.
   * @returns how many connections it was about
   * @throws SanctionsFull, BrokerError or another expected failure (as a rejection)
   */
  impose(sanction: Sanction): Promise<number>;
  /**
   * @returns whether there was one
   * @throws BrokerError or another expected failure (as a rejection)
   */
  lift(what: Omit<Sanction, "until">): Promise<boolean>;
  close(): void;
}

/**
 * Who may not be here, or not send. A gateway looks here when a user connects or joins; what concerns each message is then
 * a number at connection and membership. Time is passed in, as ms since 1970.
 */
export class Sanctions {
  /** By user, then by kind and room. */
  readonly #users = new Map<string, Map<string, Sanction>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** In the place of one of the same kind, user and room. */
  set(sanction: Sanction): void {
    const { kind, user, room } = sanction;
    let its = this.#users.get(user);
    if (!its) this.#users.set(user, (its = new Map()));
    const before = its.size;
    its.set(kind + room, sanction);
    this.#count += its.size - before;
  }

  /** @returns whether there was one */
  lift({ kind, user, room }: Omit<Sanction, "until">): boolean {
    const its = this.#users.get(user);
    if (!its?.delete(kind + room)) return false;
    this.#count--;
    if (its.size === 0) this.#users.delete(user);
    return true;
  }

  /** @param room "" for one that holds everywhere @returns when it ends; 0 for none */
  until(kind: SanctionKind, user: string, room: string): number {
    return this.#users.get(user)?.get(kind + room)?.until ?? 0;
  }

  /** Whether one holds for the user in a room, or everywhere. */
  holds(kind: SanctionKind, user: string, room: string, now: number): boolean {
    return (
      this.until(kind, user, "") > now || this.until(kind, user, room) > now
    );
  }

  /** Why a message that waited may not be sent any more: its user was banned or muted meanwhile. */
  hindrance({ user, room }: Draft, now: number): BrokerError | undefined {
    for (const kind of ["ban", "mute"] as const)
      if (this.holds(kind, user, room, now))
        return new BrokerError(
          kind === "ban" ? "banned" : "muted",
          `you may not send to room ${quote(room)} any more`,
        );
    return undefined;
  }

  *all(): Generator<Sanction> {
    for (const its of this.#users.values()) yield* its.values();
  }

  /** Takes out those that have ended. */
  sweep(now: number): void {
    const ended = [...this.all()].filter(({ until }) => until <= now);
    for (const sanction of ended) this.lift(sanction);
  }
}
