import { timingSafeEqual } from "node:crypto";
import type { User } from "../protocol/messages.ts";

/** Guest sessions: opaque signed tokens that give a later connection the same user back. */
export class Sessions {
  constructor(
    private readonly key: Uint8Array | string,
    private readonly days: number,
  ) {}

  /** @param now ms since 1970 */
  issue(user: User, now: number): string {
    const expires = Math.floor(now / 1000) + this.days * 86_400;
    const payload = Buffer.from(
      JSON.stringify([user.id, user.name, expires]),
    ).toString("base64url");
    return `${payload}.${this.#sign(payload).toString("base64url")}`;
  }

  /** @returns the user, or undefined for a token that is forged, foreign, expired or no token at all */
  verify(token: string, now: number): User | undefined {
    const dot = token.indexOf(".");
    if (dot < 0 || token.length > 4096) return undefined;
    const payload = token.slice(0, dot);
    const given = Buffer.from(token.slice(dot + 1), "base64url");
    const expected = this.#sign(payload);
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      return undefined;
    const [id, name, expires] = JSON.parse(
      Buffer.from(payload, "base64url").toString(),
    ) as [string, string, number];
    return expires * 1000 > now ? { id, name } : undefined;
  }

  #sign(payload: string): Buffer {
    return new Bun.CryptoHasher("sha256", this.key)
      .update(`guest-session-1.${payload}`)
      .digest();
  }
}
