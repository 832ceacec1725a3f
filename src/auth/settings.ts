import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError } from "../config/load.ts";
import type { Config } from "../config/options.ts";
import { Origins } from "./origins.ts";
import { Proxies } from "./proxies.ts";
import { RightsError, parsePattern } from "./rights.ts";

/** What tokens are checked with. */
export type KeySettings =
  | { readonly kind: "secret"; readonly secret: string }
  | {
      readonly kind: "public";
      /** SPKI, PEM. */
      readonly pem: string;
      readonly algorithms: readonly string[];
    }
  | {
      readonly kind: "jwks";
      readonly url: string;
      readonly cooldownMs: number;
    };

/** Who may connect, as plain data: it crosses to threads as it is, so that all of them have the same key. */
export interface AuthSettings {
  /** Undefined: nobody has a token. */
  readonly key: KeySettings | undefined;
  /** Whether somebody without a token is a guest. */
  readonly guests: boolean;
  /** A `rooms` claim: what guests may do. */
  readonly guestRooms: Readonly<Record<string, readonly string[]>>;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly maxNameBytes: number;
  /** How long before its end a token is warned of. */
  readonly warningMs: number;
}

/** An RSA key below this can be broken, and `jose` refuses it at each token: better once, at the start. */
const MIN_RSA_BITS = 2048;

/**
 * Reads what the options say about tokens, the key's file included.
 * @throws ConfigError naming the option
 */
export function readAuthSettings(config: Config): AuthSettings {
  const key = readKey(config);
  const { auth } = config;
  // Each gateway makes its own of these: here they are only looked at.
  void [new Origins(config.allowedOrigins), new Proxies(config.trustedProxies)];
  if (key && auth === "anonymous")
    throw new ConfigError(
      "--auth anonymous: tokens would not be looked at, but a key for them is configured; allowed are required and optional",
    );
  if (!key && (auth === "required" || auth === "optional"))
    throw new ConfigError(
      `--auth ${auth}: there is no key to check tokens with; allowed is one of --jwt-secret, --jwt-public-key, --jwks-url`,
    );
  return {
    key,
    guests: !key || auth === "optional",
    guestRooms: readGuestRooms(config.guestRooms),
    issuer: config.jwtIssuer || undefined,
    audience: config.jwtAudience || undefined,
    maxNameBytes: config.maxNameBytes,
    warningMs: config.tokenWarningMs,
  };
}

function readKey(config: Config): KeySettings | undefined {
  const { jwtSecret, jwtPublicKey, jwksUrl } = config;
  if ([jwtSecret, jwtPublicKey, jwksUrl].filter(Boolean).length > 1)
    throw new ConfigError(
      "--jwt-secret, --jwt-public-key, --jwks-url: more than one is given; allowed is one of them",
    );
  if (jwtSecret) {
    checkSecret(jwtSecret);
    return { kind: "secret", secret: jwtSecret };
  }
  if (jwtPublicKey) return readPublicKey(jwtPublicKey);
  if (jwksUrl)
    return { kind: "jwks", url: jwksUrl, cooldownMs: config.jwksCooldownMs };
  return undefined;
}

/** Shorter ones can be guessed from a token (RFC 7518, 3.2). */
const MIN_SECRET_BYTES = 32;

/** @throws ConfigError, which does not hold the secret */
export function checkSecret(secret: string): void {
  const bytes = Buffer.byteLength(secret);
  if (bytes < MIN_SECRET_BYTES)
    throw new ConfigError(
      `--jwt-secret: it has ${bytes} bytes; allowed are at least ${MIN_SECRET_BYTES}`,
    );
}

function readPublicKey(path: string): KeySettings {
  const refuse = (why: string): never => {
    throw new ConfigError(
      `--jwt-public-key: ${JSON.stringify(path)} ${why}; allowed is a PEM file with an RSA key of at least ${MIN_RSA_BITS} bits, a P-256 or an Ed25519 public key`,
    );
  };
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    refuse(`cannot be read: ${(error as Error).message}`);
  }
  // Whoever can read it could make tokens: it does not belong here.
  if (text.includes("PRIVATE KEY")) refuse("holds a private key");
  let key: ReturnType<typeof createPublicKey> | undefined;
  try {
    key = createPublicKey(text);
  } catch {
    return refuse("holds no public key");
  }
  const details = key.asymmetricKeyDetails;
  const pem = key.export({ type: "spki", format: "pem" }).toString();
  switch (key.asymmetricKeyType) {
    case "rsa":
      if ((details?.modulusLength ?? 0) < MIN_RSA_BITS)
        refuse("holds a key that is too short");
      return { kind: "public", pem, algorithms: ["RS256"] };
    case "ec":
      if (details?.namedCurve !== "prime256v1")
        refuse("holds a key of another curve");
      return { kind: "public", pem, algorithms: ["ES256"] };
    case "ed25519":
      return { kind: "public", pem, algorithms: ["EdDSA", "Ed25519"] };
    default:
      return refuse("holds another kind of key");
  }
}

function readGuestRooms(text: string): Record<string, string[]> {
  const rooms: Record<string, string[]> = Object.create(null);
  for (const item of text.split(/\s+/).filter(Boolean))
    try {
      const { pattern, names } = parsePattern(item);
      if (names.includes("moderate"))
        throw new RightsError("guests cannot moderate: that takes a token");
      rooms[pattern] = [...(rooms[pattern] ?? []), ...names];
    } catch (error) {
      throw new ConfigError(
        `--guest-rooms: ${(error as Error).message}; allowed is such as "lobby:join,send news-*:join"`,
      );
    }
  return rooms;
}
