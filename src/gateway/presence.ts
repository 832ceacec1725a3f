import type { User } from "../protocol/messages.ts";

/** Users in a member list or a presence change, at most. */
export const MAX_LISTED_USERS = 200;

interface Present {
  readonly user: User;
  connections: number;
}

export interface PresenceChange {
  readonly joined: User[];
  readonly left: User[];
  readonly count: number;
}

/**
 * The users of a room. A user with several connections counts once. Changes are collected until they are taken, and
 * what cancels out (a reconnect) is no change.
 */
export class Presence {
  readonly #users = new Map<string, Present>();
  /** Users whose presence changed since the last `take`, with whether they were present before. */
  #changed = new Map<string, { user: User; before: boolean }>();

  get count(): number {
    return this.#users.size;
  }

  /** All of them, in the order in which they came. */
  *all(): Generator<User> {
    for (const { user } of this.#users.values()) yield user;
  }

  get changed(): boolean {
    return this.#changed.size > 0;
  }

  /** @param silently nobody is to be told: who joins was there before */
  join(user: User, silently = false): void {
    const present = this.#users.get(user.id);
    if (present) {
      present.connections++;
      return;
    }
    this.#users.set(user.id, { user, connections: 1 });
    if (!silently) this.#note(user, false);
  }

  leave(user: User): void {
    const present = this.#users.get(user.id);
    if (!present || --present.connections > 0) return;
    this.#users.delete(user.id);
    this.#note(user, true);
  }

  /** @returns at most 200 users */
  list(): User[] {
    const users: User[] = [];
    for (const user of this.all()) {
      if (users.length === MAX_LISTED_USERS) break;
      users.push(user);
    }
    return users;
  }

  /** @returns what changed since the last call, at most 200 of each; undefined for nothing */
  take(): PresenceChange | undefined {
    const joined: User[] = [];
    const left: User[] = [];
    for (const [id, { user, before }] of this.#changed) {
      const after = this.#users.has(id);
      if (after && !before && joined.length < MAX_LISTED_USERS)
        joined.push(user);
      if (!after && before && left.length < MAX_LISTED_USERS) left.push(user);
    }
    this.#changed = new Map();
    if (joined.length === 0 && left.length === 0) return undefined;
    return { joined, left, count: this.#users.size };
  }

  #note(user: User, before: boolean): void {
    if (!this.#changed.has(user.id))
      this.#changed.set(user.id, { user, before });
  }
}

/**
 * How long changes are collected: n joins must not cost n² deliveries.
 * @returns ms
 */
export function presenceDelay(users: number): number {
  return Math.min(2000, Math.max(50, users / 4));
}
