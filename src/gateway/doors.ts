import {
  KeysUnavailable,
  TokenError,
  type Access,
  type Auth,
  type Bearer,
} from "../auth/auth.ts";
import { Origins } from "../auth/origins.ts";
import { Proxies, countedAs } from "../auth/proxies.ts";
import type { Config } from "../config/options.ts";
import type { Arrival } from "./directory.ts";
import { Handshakes } from "./handshakes.ts";
import type { Sessions } from "./sessions.ts";
import { Refusal, type ChatRequest } from "./upgrade.ts";

/** Who comes, and what it may do; without access, nothing until it has shown a token. */
export interface Arriving {
  readonly who: Arrival;
  readonly access: Access | undefined;
}

/** What stands before a socket: where somebody is from, how often it knocks, and who it is. */
export class Doors {
  readonly #origins: Origins;
  readonly #proxies: Proxies;
  readonly #handshakes: Handshakes;

  constructor(
    config: Config,
    private readonly auth: Auth,
    private readonly sessions: Sessions,
  ) {
    this.#origins = new Origins(config.allowedOrigins);
    this.#proxies = new Proxies(config.trustedProxies);
    this.#handshakes = new Handshakes(config.maxHandshakesPerSecond);
  }

  /**
   * Counts a knock, and looks where it is from. First of all: it costs least.
   * @param peer the address of the connection
   * @returns what the client is counted as
   * @throws Refusal 429, 403
   */
  knock(request: Request, peer: string): string {
    const { headers } = request;
    const address = countedAs(
      this.#proxies.clientOf(peer, headers.get("x-forwarded-for")),
    );
    const wait = this.#handshakes.take(address, performance.now());
    if (wait > 0)
      throw new Refusal(
        429,
        "rate_limited",
        `too many connects from this address; try again in ${wait} ms`,
        { "retry-after": String(Math.ceil(wait / 1000)) },
        "max_handshakes_per_second",
      );
    if (!this.#origins.allows(headers.get("origin")))
      throw new Refusal(
        403,
        "forbidden",
        "pages of this origin may not connect here",
      );
    return address;
  }

  /**
   * Who stands before `/chat`: the bearer of a token, a guest, or somebody who has to show a token first.
   * @param now ms since 1970
   * @throws Refusal 401 or 503, also as a rejection
   */
  arrive(
    request: Request,
    { codec, name, session, token: inQuery }: ChatRequest,
    now: number,
  ): Arriving | Promise<Arriving> {
    const { auth, sessions } = this;
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
}

/**
 * What `Authorization: Bearer` shows, valid or not: who shows something is not let in as a guest for it. Other schemes are
 * for others (proxies, say).
 */
function bearerOf(header: string | null): string | undefined {
  return /^bearer +(.+)$/i.exec(header ?? "")?.[1];
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
