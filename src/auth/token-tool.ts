import { parseArgs } from "node:util";
import { SignJWT } from "jose";
import { OPTIONS, variableOf } from "../config/options.ts";
import { nameProblem } from "../protocol/validate.ts";
import { GUEST_PREFIX, MAX_USER_ID_BYTES } from "./auth.ts";
import { MAX_PATTERNS, parsePattern } from "./rights.ts";
import { checkSecret } from "./settings.ts";

/** What a token is to say. */
export interface TokenRequest {
  readonly secret: string;
  readonly sub: string;
  readonly name: string | undefined;
  /** Undefined: all rooms, with the usual rights. */
  readonly rooms: Readonly<Record<string, readonly string[]>> | undefined;
  readonly ttlSeconds: number;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
}

export const HELP = `bun run token --sub USER [options]: makes a token for a server that has the same secret

  --sub USER              the user's id
  --name NAME             what the others see (default: the id); at most ROOMCAST_MAX_NAME_BYTES, or 64 bytes
  --room PATTERN[:RIGHTS] rooms that it opens, and what for: join, send, history, moderate (default join,send,history);
                          * stands for anything; may be given several times (default: all rooms)
  --ttl TIME              how long it is good: 90s, 15m, 1h, 7d (default 1h)
  --jwt-secret SECRET     or the variable ROOMCAST_JWT_SECRET: at least 32 bytes; the token is signed with it (HS256)
  --jwt-issuer TEXT       or ROOMCAST_JWT_ISSUER: the token's iss, where the server asks for one
  --jwt-audience TEXT     or ROOMCAST_JWT_AUDIENCE: its aud, the same
  --help

Tokens for --jwt-public-key and --jwks-url come from whoever has the private key, with any library for JSON Web Tokens.

It prints the token, and nothing else:
  bun run token --sub bob --room 'team-*:join,send' --room lobby --ttl 1h
`;

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
const MAX_TTL_SECONDS = 3650 * UNITS.d;

/**
 * @returns undefined where help is asked for
 * @throws Error that names the first wrong option; it never holds the secret
 */
export function parseTokenOptions(
  args: string[],
  env: { readonly [name: string]: string | undefined },
): TokenRequest | undefined {
  const { values } = parseArgs({
    args,
    options: {
      sub: { type: "string" },
      name: { type: "string" },
      room: { type: "string", multiple: true },
      ttl: { type: "string", default: "1h" },
      "jwt-secret": { type: "string" },
      "jwt-issuer": { type: "string" },
      "jwt-audience": { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const secret = values["jwt-secret"] || env.ROOMCAST_JWT_SECRET;
  if (!secret)
    throw new Error(
      "--jwt-secret, or the variable ROOMCAST_JWT_SECRET, is needed: the server's secret",
    );
  checkSecret(secret);
  const { sub, name } = values;
  if (sub === undefined) throw new Error("--sub is needed: the user's id");
  checkField("--sub", sub, MAX_USER_ID_BYTES);
  if (sub.startsWith(GUEST_PREFIX))
    throw new Error(`--sub must not begin with ${GUEST_PREFIX}`);
  if (name !== undefined) checkField("--name", name, maxNameBytes(env));
  return {
    secret,
    sub,
    name,
    rooms: values.room && readRooms(values.room),
    ttlSeconds: readTtl(values.ttl),
    issuer: values["jwt-issuer"] || env.ROOMCAST_JWT_ISSUER || undefined,
    audience: values["jwt-audience"] || env.ROOMCAST_JWT_AUDIENCE || undefined,
  };
}

/** Signs with HS256. */
export function makeToken(
  { secret, sub, name, rooms, ttlSeconds, issuer, audience }: TokenRequest,
  now: number,
): Promise<string> {
  const iat = Math.floor(now / 1000);
  const token = new SignJWT({
    sub,
    iat,
    exp: iat + ttlSeconds,
    ...(name === undefined ? {} : { name }),
    ...(rooms === undefined ? {} : { rooms }),
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience === undefined ? {} : { aud: audience }),
  });
  return token
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .sign(Buffer.from(secret));
}

/** The server's own limit: it would refuse a longer one, and not say why. */
function maxNameBytes(env: Record<string, string | undefined>): number {
  const { parse, fallback } = OPTIONS.maxNameBytes;
  const given = env[variableOf("maxNameBytes")];
  return (given && parse(given)) || fallback;
}

function checkField(flag: string, value: string, maxBytes: number): void {
  const problem = nameProblem(value, maxBytes);
  if (problem) throw new Error(`${flag} ${problem}`);
}

function readRooms(given: readonly string[]): Record<string, string[]> {
  if (given.length > MAX_PATTERNS)
    throw new Error(`--room: at most ${MAX_PATTERNS} may be given`);
  const rooms = new Map<string, string[]>();
  for (const text of given)
    try {
      const { pattern, names } = parsePattern(text);
      rooms.set(pattern, [
        ...new Set([...(rooms.get(pattern) ?? []), ...names]),
      ]);
    } catch (error) {
      throw new Error(`--room ${(error as Error).message}`);
    }
  return Object.fromEntries(rooms);
}

function readTtl(text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * UNITS[unit as keyof typeof UNITS];
  if (!(seconds > 0 && seconds <= MAX_TTL_SECONDS))
    throw new Error(
      `--ttl ${JSON.stringify(text)}: allowed is such as 90s, 15m, 1h or 7d, at most 3650d`,
    );
  return seconds;
}
