import { TokenError, type Auth, type Bearer } from "../auth/auth.ts";
import { RIGHTS } from "../auth/rights.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { MAX_SANCTIONS, type Sanctions } from "../gateway/sanctions.ts";
import { UserRates } from "../gateway/user-rates.ts";
import { quote } from "../protocol/validate.ts";
import { ApiError } from "./answer.ts";
import { fits, parameters, segmentsOf } from "./paths.ts";
import { ROUTES } from "./routes.ts";

/** Bans and mutes above which moderators impose none: the application must not find all places taken. */
export const MODERATORS_SANCTIONS = MAX_SANCTIONS / 2;

const OPEN = ROUTES.filter(({ moderators }) => moderators).map((route) => ({
  method: route.method,
  segments: segmentsOf(route.path),
}));

/**
 * Users who show their own token in place of a key. It opens the routes that are marked so, for rooms that it gives
 * `join` and `moderate` for.
 */
export class Moderators {
  readonly #rates: UserRates;

  /**
   * @param sanctions those that hold here
   * @param perSecond requests that a user may make, on average
   */
  constructor(
    private readonly auth: Auth,
    private readonly sanctions: Sanctions,
    perSecond: number,
  ) {
    this.#rates = new UserRates(perSecond);
  }

  /** Whether a token may open this, at all. Only then is one looked at. */
  mayOpen(method: string, path: string): boolean {
    return this.auth.takesTokens && routeOf(method, path) !== undefined;
  }

  /**
   * @param token what the request shows
   * @returns who it is; undefined where the token is not valid
   * @throws ApiError, ProtocolError (as a rejection) it is, and does not allow this, or not now
   */
  async open(
    method: string,
    path: string,
    token: string,
  ): Promise<string | undefined> {
    const bearer = await this.auth.verify(token).catch((error: unknown) => {
      if (error instanceof TokenError) return undefined;
      throw error;
    });
    if (!bearer) return undefined;
    const { id } = bearer.user;
    const now = performance.now();
    const wait = this.#rates.hold(id, now).take(now);
    this.#rates.release(id, now);
    if (wait > 0)
      throw new ApiError(
        429,
        "rate_limited",
        `too many requests; try again in ${wait} ms`,
        {},
        wait,
      );
    const given = segmentsOf(path);
    const { room } = parameters(routeOf(method, path)!.segments, given);
    this.#check(bearer, room!);
    if (method === "POST" && this.sanctions.count >= MODERATORS_SANCTIONS)
      throw new ApiError(
        409,
        "too_many",
        `there are ${MODERATORS_SANCTIONS} bans and mutes: above these only the application may impose some`,
      );
    return id;
  }

  /** @throws ApiError */
  #check({ user, grants }: Bearer, room: string): void {
    const needed = RIGHTS.join | RIGHTS.moderate;
    if ((grants.of(room) & needed) !== needed)
      throw new ApiError(
        403,
        "forbidden",
        `this token may not moderate room ${quote(room)}`,
      );
    if (this.sanctions.holds("ban", user.id, room, Date.now()))
      throw new ApiError(
        403,
        "banned",
        `you are banned from room ${quote(room)}`,
      );
  }
}

function routeOf(
  method: string,
  path: string,
): (typeof OPEN)[number] | undefined {
  const given = segmentsOf(path);
  return OPEN.find(
    (route) => route.method === method && fits(route.segments, given),
  );
}

/** Of one gateway's users. */
export const moderatorsOf = ({
  auth,
  sanctions,
  config,
}: Gateway): Moderators =>
  new Moderators(auth, sanctions, config.maxRequestsPerSecond);
