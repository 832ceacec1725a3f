import {
  KeysUnavailable,
  TokenError,
  type Access,
  type Auth,
  type Bearer,
} from "../auth/auth.ts";
import type { Arrival } from "./directory.ts";
import type { Sessions } from "./sessions.ts";
import { Refusal, type ChatRequest } from "./upgrade.ts";

/** Who comes, and what it may do; without access, nothing until it has shown a token. */
export interface Arriving {
  readonly who: Arrival;
  readonly access: Access | undefined;
}

/**
 * Who stands before `/chat`: the bearer of a token, a guest, or somebody who has to show a token first.
 * @param now ms since 1970
 * @throws Refusal 401 or 503, also as a rejection
 */
export function arrive(
  auth: Auth,
  sessions: Sessions,
  request: Request,
  { codec, name, session, token: inQuery }: ChatRequest,
  now: number,
): Arriving | Promise<Arriving> {
  const token = auth.takesTokens
    ? (inQuery ?? bearerOf(request.headers.get("authorization")))
    : undefined;
  if (token !== undefined)
    return auth.verify(token).then(
      (bearer: Bearer) => ({
        who: { kind: "user", user: bearer.user },
        access: bearer,
      }),
      (error: unknown) => {
        throw refusalOf(error);
      },
    );
  if (auth.guest) {
    const known =
      session === undefined ? undefined : sessions.verify(session, now);
    return {
      who: known ? { kind: "user", user: known } : { kind: "guest", name },
      access: auth.guest,
    };
  }
  // Lines of text have no way to show one later.
  if (codec.name === "text") throw unauthorized("a token is needed");
  return { who: { kind: "nobody" }, access: undefined };
}

/** The token of `Authorization: Bearer`; other schemes are for others (proxies, say). */
function bearerOf(header: string | null): string | undefined {
  return /^bearer +(\S+)$/i.exec(header ?? "")?.[1];
}

function refusalOf(error: unknown): unknown {
  if (error instanceof TokenError) return unauthorized(error.message);
  if (error instanceof KeysUnavailable)
    return new Refusal(503, "unavailable", error.message, {
      "retry-after": "5",
    });
  return error;
}

const unauthorized = (message: string): Refusal =>
  new Refusal(401, "unauthorized", message, { "www-authenticate": "Bearer" });
