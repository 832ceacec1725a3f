import type { User } from "../protocol/messages.ts";
import type { Diff, Listed } from "./wire.ts";

/** Where a scope's users of all nodes are counted together: once for each node they are at. */
export interface Tally {
  join(user: User): void;
  leave(user: User): void;
}

/** A scope's users at another node, as far as it has told. */
export class Replica {
  version = 0;
  /** Version that is known to exist. Above `version`: something was missed. */
  latest = 0;
  readonly #users = new Map<string, User>();

  constructor(private readonly tally: Tally) {}

  get size(): number {
    return this.#users.size;
  }

  get behind(): boolean {
    return this.latest > this.version;
  }

  /** Takes a diff in, unless it is old or something before it is missing: then this is `behind`. */
  apply({ prev, version, joined, left }: Diff): void {
    if (version <= this.version) return;
    if (version > this.latest) this.latest = version;
    if (prev === 0) this.clear();
    else if (prev !== this.version) return;
    for (const id of left) this.#leave(id);
    for (const user of joined) this.#join(user);
    this.version = version;
  }

  /** Takes a whole state in, unless it is old. */
  replace(version: number, users: readonly Listed[]): void {
    if (version <= this.version) return;
    const ids = new Set(users.map(([id]) => id));
    for (const id of this.#users.keys()) if (!ids.has(id)) this.#leave(id);
    for (const user of users) this.#join(user);
    this.version = version;
    if (version > this.latest) this.latest = version;
  }

  clear(): void {
    for (const user of this.#users.values()) this.tally.leave(user);
    this.#users.clear();
  }

  #join([id, name]: Listed): void {
    const before = this.#users.get(id);
    if (before?.name === name) return;
    if (before) this.tally.leave(before);
    const user: User = { id, name };
    this.#users.set(id, user);
    this.tally.join(user);
  }

  #leave(id: string): void {
    const user = this.#users.get(id);
    if (!user) return;
    this.#users.delete(id);
    this.tally.leave(user);
  }
}
