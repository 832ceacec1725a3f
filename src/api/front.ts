import type { Logger } from "../logging/logger.ts";
import type { Config } from "../config/options.ts";
import {
  ApiError,
  failure,
  methodNotAllowed,
  type ApiAnswer,
  type ApiRequest,
} from "./answer.ts";
import { ApiKeys, bearerOf } from "./keys.ts";
import type { Moderators } from "./moderators.ts";
import { openApi } from "./openapi.ts";
import { statusClass, type GatewayStats } from "../stats/gateway-stats.ts";

/** Answers a request that has shown a key, in this thread or by way of another. Never rejects. */
export type ApiHandler = (request: ApiRequest) => Promise<ApiAnswer>;

const PREFIX = "/api/v1";
const KIB = 1024;
/** Requests under way in one thread, at most. Each may hold a body. */
const MAX_UNDER_WAY = 256;
/** From the head of a request to the last byte of its body. */
const BODY_MS = 10_000;
const MAX_TARGET_CHARACTERS = 4 * KIB;

/** A body holds what a frame of a socket may, and a list of users in any case. */
export const maxBodyBytes = ({ maxFrameBytes }: Config): number =>
  Math.min(Math.max(maxFrameBytes, 256 * KIB), 4 * KIB * KIB);

/**
 * The HTTP side of the API: key, body, answer. In whichever thread the connection is.
 * @returns undefined for other paths, and for all where no key is configured
 */
export function createApiFront(
  config: Config,
  handle: ApiHandler,
  moderators: Moderators,
  logger: Logger,
  stats: Pick<GatewayStats, "apiAnswers">,
  bodyMs = BODY_MS,
): (request: Request, pathname: string) => Promise<Response> | undefined {
  const keys = new ApiKeys(config.apiKey);
  const maxBytes = maxBodyBytes(config);
  let underWay = 0;
  /** Made for the first who asks. */
  let document: string | undefined;

  async function answer(
    request: Request,
    pathname: string,
  ): Promise<ApiAnswer> {
    const path = pathname.slice(PREFIX.length);
    // It holds no secret, and tools that read it know no key.
    if (path === "/openapi.json") {
      if (request.method !== "GET" && request.method !== "HEAD")
        throw methodNotAllowed(request.method, ["GET"]);
      document ??= JSON.stringify(openApi(config));
      return { status: 200, body: document, headers: {} };
    }
    await admit(request, path);
    if (request.url.length > MAX_TARGET_CHARACTERS)
      throw new ApiError(
        400,
        "invalid_field",
        `the address is longer than ${MAX_TARGET_CHARACTERS} characters`,
      );
    if (underWay >= MAX_UNDER_WAY)
      throw new ApiError(
        503,
        "overloaded",
        `${MAX_UNDER_WAY} requests are under way`,
        {},
        1000,
      );
    underWay++;
    try {
      const at = request.url.indexOf("?");
      return await handle({
        method: request.method,
        path,
        query: at < 0 ? "" : request.url.slice(at + 1),
        idempotencyKey: request.headers.get("idempotency-key") ?? undefined,
        body: await readBody(request, maxBytes, bodyMs),
      });
    } finally {
      underWay--;
    }
  }

  /** @throws ApiError, ProtocolError (as a rejection) */
  async function admit(
    { method: asked, headers }: Request,
    path: string,
  ): Promise<void> {
    // Who may read may ask whether there is something to read.
    const method = asked === "HEAD" ? "GET" : asked;
    const authorization = headers.get("authorization");
    if (keys.open(authorization)) return;
    const shown = bearerOf(authorization);
    const forModerators = moderators.mayOpen(method, path);
    const moderator =
      shown !== undefined && forModerators
        ? await moderators.open(method, path, shown)
        : undefined;
    if (moderator === undefined)
      throw new ApiError(
        401,
        "unauthorized",
        `send Authorization: Bearer and a key of --api-key${forModerators ? ", or a token that may moderate the room" : ""}`,
        { "www-authenticate": "Bearer" },
      );
    // Who did it is told nowhere else.
    logger.info({ moderator, method, path }, "a moderator's request");
  }

  return (request, pathname) => {
    if (
      !keys.any ||
      !(pathname === PREFIX || pathname.startsWith(`${PREFIX}/`))
    )
      return undefined;
    return answer(request, pathname)
      .catch((error) => failure(error, logger))
      .then((answer) => {
        stats.apiAnswers[statusClass(answer.status)]++;
        return toResponse(answer);
      });
  };
}

type Front = (
  request: Request,
  pathname: string,
) => Promise<Response | undefined> | undefined;

/** Asks one after the other, until somebody knows the path. */
export const firstOf =
  (...fronts: readonly Front[]): Front =>
  (request, pathname) => {
    for (const front of fronts) {
      const answer = front(request, pathname);
      if (answer) return answer;
    }
    return undefined;
  };

function toResponse({ status, body, headers }: ApiAnswer): Response {
  return new Response(body === "" ? null : body, {
    status,
    headers: {
      ...(body === "" ? {} : { "content-type": "application/json" }),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}

/**
 * Reads no more than it may, and no longer, whatever the headers say.
 * @throws ApiError
 */
async function readBody(
  request: Request,
  maxBytes: number,
  timeoutMs: number,
): Promise<string> {
  if (!request.body) return "";
  const tooLarge = (): ApiError =>
    new ApiError(413, "too_large", `a body may have ${maxBytes} bytes`);
  if (Number(request.headers.get("content-length")) > maxBytes)
    throw tooLarge();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = request.body.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void reader.cancel().catch(() => {});
  }, timeoutMs);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // A reader that is cancelled sees an end: what came until then is not what was meant.
      if (late)
        throw new ApiError(
          408,
          "too_slow",
          `the body did not come within ${timeoutMs} ms`,
        );
      if (done) break;
      bytes += value.length;
      if (bytes > maxBytes) throw tooLarge();
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
    // Not awaited: the rest may never come.
    void reader.cancel().catch(() => {});
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(
      Buffer.concat(chunks),
    );
  } catch {
    throw new ApiError(400, "bad_body", "the body is not UTF-8");
  }
}
