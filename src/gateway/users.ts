import type { User } from "../protocol/messages.ts";

/** Everybody who is online. A user with several connections counts once. */
export class Users {
  readonly #online = new Map<
    string,
    { readonly name: string; count: number }
  >();
  /** Display names in use, with how many users have each. */
  readonly #names = new Map<string, number>();

  constructor(
    private readonly guests: Pick<GuestCounter, "take">,
    /** Told when the counter cannot be kept. */
    private readonly onFailure: (error: unknown) => void = () => {},
  ) {}

  get count(): number {
    return this.#online.size;
  }

  has(id: string): boolean {
    return this.#online.has(id);
  }

  /** How many connections a user has. */
  connections(id: string): number {
    return this.#online.get(id)?.count ?? 0;
  }

  connected({ id, name }: User): void {
    const online = this.#online.get(id);
    if (online) {
      online.count++;
      return;
    }
    this.#online.set(id, { name, count: 1 });
    this.#names.set(name, (this.#names.get(name) ?? 0) + 1);
  }

  disconnected({ id }: User): void {
    const online = this.#online.get(id);
    if (!online || --online.count > 0) return;
    this.#online.delete(id);
    // Under the name it came with first: another token of the user may hold another one.
    const { name } = online;
    const named = (this.#names.get(name) ?? 0) - 1;
    if (named > 0) this.#names.set(name, named);
    else this.#names.delete(name);
  }

  /** A user without a token. @param name what it asked to be called */
  guest(name: string | undefined): User {
    return {
      id: `guest:${Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString("base64url")}`,
      name: name ?? this.#automaticName(),
    };
  }

  #automaticName(): string {
    for (;;) {
      const name = `user${this.#number()}`;
      if (!this.#names.has(name)) return name;
    }
  }

  #number(): number {
    try {
      return this.guests.take();
    } catch (error) {
      // A full disk must not keep guests out: a number far from the counter's serves as well.
      this.onFailure(error);
      return farNumber();
    }
  }
}

/** @returns a number that stands in for one of the counter */
export function farNumber(): number {
  return 1e12 + Math.floor(Math.random() * 1e12);
}

const RESERVED_AT_ONCE = 64;

/**
 * Numbers of automatic names, never given twice, also not after a kill: a block is written down before the first of it
 * is given, the exact number at a clean end.
 */
export class GuestCounter {
  #reserved: number;

  /** @param save keeps the number that a next start begins with */
  constructor(
    private next: number,
    private readonly save: (next: number) => void,
  ) {
    this.#reserved = next;
  }

  /** @throws whatever `save` throws: then no number was given */
  take(): number {
    if (this.next >= this.#reserved) {
      const reserved = this.next + RESERVED_AT_ONCE;
      this.save(reserved);
      this.#reserved = reserved;
    }
    return this.next++;
  }

  close(): void {
    if (this.#reserved > this.next) this.save(this.next);
  }
}
