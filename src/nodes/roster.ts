import type { User } from "../protocol/messages.ts";

interface Here {
  readonly user: User;
  connections: number;
}

/**
 * A scope's users at this node, and what the other nodes have not been told. What cancels out (a reconnect) is not told.
 */
export class Roster {
  /** Version that the other nodes were told last; 0: nothing. */
  version = 0;
  readonly #users = new Map<string, Here>();
  /** Users who came or went since then, with who they were before. */
  #changed = new Map<string, User | undefined>();

  get size(): number {
    return this.#users.size;
  }

  get changed(): boolean {
    return this.#changed.size > 0;
  }

  join(user: User): void {
    const here = this.#users.get(user.id);
    if (here) {
      here.connections++;
      return;
    }
    this.#users.set(user.id, { user, connections: 1 });
    this.#note(user.id, undefined);
  }

  leave(user: User): void {
    const here = this.#users.get(user.id);
    if (!here || --here.connections > 0) return;
    this.#users.delete(user.id);
    this.#note(user.id, here.user);
  }

  *users(): Generator<User> {
    for (const { user } of this.#users.values()) yield user;
  }

  /** @returns what is to be told since the last call; undefined for nothing */
  take(): { joined: User[]; left: string[] } | undefined {
    if (this.#changed.size === 0) return undefined;
    const joined: User[] = [];
    const left: string[] = [];
    for (const [id, before] of this.#changed) {
      const after = this.#users.get(id)?.user;
      // Who comes back under another name is told again.
      if (after && after.name !== before?.name) joined.push(after);
      if (!after && before) left.push(id);
    }
    this.#changed = new Map();
    return joined.length + left.length > 0 ? { joined, left } : undefined;
  }

  #note(id: string, before: User | undefined): void {
    if (!this.#changed.has(id)) this.#changed.set(id, before);
  }
}
