import { timingSafeEqual } from "node:crypto";

const sha256 = (text: string): Uint8Array =>
  new Bun.CryptoHasher("sha256").update(text).digest();

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
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (given === undefined) return false;
    const hash = sha256(given);
    let found = false;
    for (const known of this.#hashes)
      if (timingSafeEqual(known, hash)) found = true;
    return found;
  }
}
