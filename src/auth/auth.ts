import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from "jose";
import { ProtocolError } from "../protocol/errors.ts";
import { nameProblem } from "../protocol/validate.ts";
import type { User } from "../protocol/messages.ts";
import { USUAL_RIGHTS, everywhere, readGrants, type Grants } from "./rights.ts";
import type { AuthSettings, KeySettings } from "./settings.ts";

/** What a connection may do, and for how long. */
export interface Access {
  readonly grants: Grants;
  /** Milliseconds since 1970, after which it may nothing; Infinity for guests. */
  readonly expiresAt: number;
  /** When it should be told that it expires, on the same clock. */
  readonly warnAt: number;
}

/** Who a valid token is, and what it allows. */
export interface Bearer extends Access {
  readonly user: User;
}

/** The token is not valid. Why is nobody's business: whoever forges one would learn from it. */
export class TokenError extends ProtocolError {
  constructor() {
    super("unauthorized", "the token is not valid");
  }
}

/** Whether the token is valid cannot be told now. */
export class KeysUnavailable extends ProtocolError {
  constructor() {
    super(
      "unavailable",
      "tokens cannot be checked at the moment; try again",
      JWKS_RETRY_MS,
    );
  }
}

/** A longer one is no token: HTTP headers end near here too. */
export const MAX_TOKEN_CHARACTERS = 8192;
/** No user's id begins with it but a guest's. */
export const GUEST_PREFIX = "guest:";
export const MAX_USER_ID_BYTES = 128;
/** What clocks may differ by. */
export const CLOCK_TOLERANCE_S = 5;
/** Verifications under way: more than these only wait for a key server that does not answer. */
const MAX_UNDER_WAY = 1000;
/** Of the algorithms that a key set may name, never HS256: a public key must not be taken for a secret. */
const JWKS_ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"];
/** After a failed fetch of the keys, the next one waits for this: each handshake would ask. */
const JWKS_RETRY_MS = 1000;
/** Some hundred keys with their certificates; more is no key set, or none that is meant well. */
export const MAX_JWKS_BYTES = 256 * 1024;
/** Times in ms are safe integers on the wire. */
const MAX_EXP_S = Number.MAX_SAFE_INTEGER / 1000 - CLOCK_TOLERANCE_S;

/** Looks at tokens, and knows what guests may do. */
export class Auth {
  /** Undefined where somebody without a token may nothing. */
  readonly guest: Access | undefined;
  readonly #verify:
    ((token: string) => Promise<{ payload: JWTPayload }>) | undefined;
  readonly #maxNameBytes: number;
  readonly #warningMs: number;
  #underWay = 0;

  /** @param tell told what an operator should know, at most once a second */
  constructor(settings: AuthSettings, tell: (message: string) => void) {
    const { key, issuer, audience } = settings;
    this.#maxNameBytes = settings.maxNameBytes;
    this.#warningMs = settings.warningMs;
    this.guest = settings.guests
      ? {
          grants: readGrants(settings.guestRooms),
          expiresAt: Infinity,
          warnAt: Infinity,
        }
      : undefined;
    const options: JWTVerifyOptions = {
      requiredClaims: ["sub", "exp"],
      clockTolerance: CLOCK_TOLERANCE_S,
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    if (key) this.#verify = verifierOf(key, options, tell);
  }

  /** Whether there is a key to look at tokens with. */
  get takesTokens(): boolean {
    return this.#verify !== undefined;
  }

  /**
   * @throws TokenError (as a rejection)
   * @throws KeysUnavailable (as a rejection)
   */
  async verify(token: string): Promise<Bearer> {
    if (!this.#verify || token.length > MAX_TOKEN_CHARACTERS)
      throw new TokenError();
    if (this.#underWay >= MAX_UNDER_WAY) throw new KeysUnavailable();
    this.#underWay++;
    try {
      const { payload } = await this.#verify(token);
      return this.#bearer(payload);
    } catch (error) {
      throw error instanceof KeysUnavailable ? error : new TokenError();
    } finally {
      this.#underWay--;
    }
  }

  /** @throws Error a claim is not what it should be */
  #bearer({ sub, name, rooms, exp }: JWTPayload): Bearer {
    const id = readName(sub, MAX_USER_ID_BYTES);
    if (id.startsWith(GUEST_PREFIX)) throw new Error("sub is a guest's");
    if (!(exp! <= MAX_EXP_S)) throw new Error("exp is no time");
    const now = Date.now();
    const expiresAt = Math.floor((exp! + CLOCK_TOLERANCE_S) * 1000);
    return {
      user: {
        id,
        name: name === undefined ? id : readName(name, this.#maxNameBytes),
      },
      grants:
        rooms === undefined ? everywhere(USUAL_RIGHTS) : readGrants(rooms),
      expiresAt,
      // A token that lives shorter than the warning comes before its end is warned of at half of its life.
      warnAt: expiresAt - Math.min(this.#warningMs, (expiresAt - now) / 2),
    };
  }
}

function readName(value: unknown, maxBytes: number): string {
  if (typeof value !== "string" || nameProblem(value, maxBytes))
    throw new Error("a claim is no name");
  return value;
}

function verifierOf(
  key: KeySettings,
  options: JWTVerifyOptions,
  tell: (message: string) => void,
): (token: string) => Promise<{ payload: JWTPayload }> {
  if (key.kind === "jwks") {
    const keys = remoteKeys(new URL(key.url), key.cooldownMs, tell);
    const all = { ...options, algorithms: JWKS_ALGORITHMS };
    return (token) => jwtVerify(token, keys, all);
  }
  // One key object for all tokens: jose then imports it once.
  const object: KeyObject =
    key.kind === "secret"
      ? createSecretKey(Buffer.from(key.secret))
      : createPublicKey(key.pem);
  const algorithms = key.kind === "secret" ? ["HS256"] : [...key.algorithms];
  const all = { ...options, algorithms };
  return (token) => jwtVerify(token, object, all);
}

/**
 * Here rather than in `jose`, which reads whatever comes: an answer without an end would take all memory there is.
 * @returns a key set, as JSON
 * @throws Error with nothing of the answer in its message
 */
async function readKeySet(response: Response): Promise<string> {
  if (response.status !== 200) {
    void response.body?.cancel().catch(() => {});
    throw new Error(`it answered ${response.status}`);
  }
  let bytes = 0;
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_JWKS_BYTES)
      throw new Error(`its answer is longer than ${MAX_JWKS_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  let keys: unknown;
  try {
    keys = (JSON.parse(text) as { keys?: unknown } | null)?.keys;
  } catch {
    // As where it is JSON, and no key set.
  }
  if (
    !Array.isArray(keys) ||
    !keys.every((key) => typeof key === "object" && key !== null)
  )
    throw new Error("its answer is no key set");
  return text;
}

/** The keys of an issuer, fetched when they are needed, old, or lack one that a token names. */
function remoteKeys(
  url: URL,
  cooldownMs: number,
  tell: (message: string) => void,
): JWTVerifyGetKey {
  let failedAt = -Infinity;
  const keys = createRemoteJWKSet(url, {
    cooldownDuration: cooldownMs,
    [customFetch]: async (href, init) => {
      if (performance.now() - failedAt < JWKS_RETRY_MS)
        throw new Error("failed a moment ago");
      try {
        return new Response(await readKeySet(await fetch(href, init)));
      } catch (error) {
        failedAt = performance.now();
        tell(
          `--jwks-url: no keys from ${url.host}: ${(error as Error).message}`,
        );
        throw error;
      }
    },
  });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      // The token names no key, or one that is not there; all else is not the token's fault.
      if (
        error instanceof errors.JWKSNoMatchingKey ||
        error instanceof errors.JWKSMultipleMatchingKeys ||
        error instanceof errors.JOSENotSupported
      )
        throw error;
      throw new KeysUnavailable();
    }
  };
}
