import { generateKeyPairSync } from "node:crypto";
import { SignJWT, type CryptoKey, type JWTPayload } from "jose";

export const SECRET = "0123456789abcdef0123456789abcdef";

type Key = Parameters<SignJWT["sign"]>[0];

/** Seconds since 1970, that many from now. */
export const inSeconds = (seconds: number): number =>
  Math.floor(Date.now() / 1000) + seconds;

/** A token of an hour, as an application would make one. A claim of undefined is left out. */
export function token(
  claims: JWTPayload = {},
  key: Key = Buffer.from(SECRET),
  header: { alg: string; kid?: string } = { alg: "HS256" },
): Promise<string> {
  const all = { sub: "bob", exp: inSeconds(3600), ...claims };
  return new SignJWT(JSON.parse(JSON.stringify(all)))
    .setProtectedHeader(header)
    .sign(key);
}

/** A token as an attacker writes it: any header, any claims, any signature. */
export function forged(
  header: object,
  claims: object,
  sign: (input: string) => string = () => "",
): string {
  const part = (value: object): string =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${sign(input)}`;
}

export interface KeyPair {
  readonly alg: string;
  readonly privateKey: Key;
  readonly publicPem: string;
  readonly privatePem: string;
}

export function keyPair(
  kind: "rsa" | "ec" | "ed25519",
  bits = 2048,
  curve = "P-256",
): KeyPair {
  const { privateKey, publicKey } =
    kind === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: bits })
      : kind === "ec"
        ? generateKeyPairSync("ec", { namedCurve: curve })
        : generateKeyPairSync("ed25519");
  return {
    alg: { rsa: "RS256", ec: "ES256", ed25519: "EdDSA" }[kind],
    privateKey: privateKey as unknown as CryptoKey,
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
