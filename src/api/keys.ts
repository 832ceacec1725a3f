import { timingSafeEqual } from "node:crypto";

const sha256 = (text: string): Uint8Array =>
  new Bun.CryptoHasher("sha256").update(text).digest();

/** What an `Authorization` header shows; undefined where it is none of `Bearer`. */
export const bearerOf = (authorization: string | null): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];

/** The keys of the API. Only their hashes are kept. */
export class ApiKeys {
  readonly #hashes: readonly Uint8Array[];

  /** @param keys separated by commas; "" for none */
  constructor(keys: string) {
    this.#hashes = keys
      .split(",")
      .map((key) => key.trim())
      .filter((key) => key !== "")
      .map(sha256);
  }

  get any(): boolean {
    return this.#hashes.length > 0;
  }

  /**
   * Whether an `Authorization` header holds one of them. Hashes are compared, all of them and whole: how long it takes
   * tells nothing of a key.
   */
  open(authorization: string | null): boolean {
    const given = bearerOf(authorization);
    if (given === undefined) return false;
    const hash = sha256(given);
    let found = false;
    for (const known of this.#hashes)
      if (timingSafeEqual(known, hash)) found = true;
    return found;
  }
}
