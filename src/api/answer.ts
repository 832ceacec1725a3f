import type { Logger } from "../logging/logger.ts";
import { BrokerError } from "../broker/broker.ts";
import { SanctionsFull } from "../gateway/sanctions.ts";
import { ProtocolError, type ErrorCode } from "../protocol/errors.ts";

/** A request as handlers get it: it has crossed from another thread, perhaps. */
export interface ApiRequest {
  readonly method: string;
  /** What follows `/api/v1`, as it was sent. */
  readonly path: string;
  /** What follows `?`; "" for nothing. */
  readonly query: string;
  readonly idempotencyKey: string | undefined;
  /** "" for none. */
  readonly body: string;
}

export interface ApiAnswer {
  readonly status: number;
  /** JSON; "" for none. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Codes that only the API knows, and what each means. The others are those of the sockets (src/protocol/errors.ts). */
export const API_ERROR_CODES = {
  unauthorized: "the key is missing or wrong",
  bad_body: "the body is not JSON, or not UTF-8",
  too_slow: "the body did not come in time; nothing was done",
  not_found: "there is no such thing",
  too_many: "there are as many of them as there may be",
  method_not_allowed: "the path is there, the method is not",
  internal: "the server failed on this request",
} as const;

export type ApiErrorCode = ErrorCode | keyof typeof API_ERROR_CODES;

/** An expected failure of one request. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: ApiErrorCode,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
    /** Milliseconds after which trying again can help. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }
}

/** @param methods those that are possible; who can GET can also HEAD */
export function methodNotAllowed(
  method: string,
  methods: readonly string[],
): ApiError {
  const allow = methods
    .flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : [one]))
    .join(", ");
  return new ApiError(
    405,
    "method_not_allowed",
    `${method.slice(0, 20)} is not possible here; ${allow} is`,
    { allow },
  );
}

/** Status codes of what the sockets answer with an `error` frame. What is not here is 400. */
const STATUS: { readonly [code in ApiErrorCode]?: number } = {
  too_large: 413,
  rate_limited: 429,
  forbidden: 403,
  refused: 403,
  banned: 403,
  muted: 403,
  overloaded: 503,
  unavailable: 503,
  outcome_unknown: 504,
};

/** A failure as an answer. One that nobody expected is a mistake in this program, and costs this request only. */
export function failure(error: unknown, logger: Logger): ApiAnswer {
  if (error instanceof ApiError) return errorAnswer(error);
  if (error instanceof ProtocolError || error instanceof BrokerError) {
    const { code, message, retryAfterMs } = error;
    return errorAnswer(
      new ApiError(STATUS[code] ?? 400, code, message, {}, retryAfterMs),
    );
  }
  if (error instanceof SanctionsFull)
    return errorAnswer(new ApiError(409, "too_many", error.message));
  logger.error({ err: error }, "a request to the API failed");
  return errorAnswer(new ApiError(500, "internal", "the server failed"));
}

/** An expected failure as an answer. */
export function errorAnswer({
  status,
  code,
  message,
  headers,
  retryAfterMs,
}: ApiError): ApiAnswer {
  return {
    status,
    body: JSON.stringify({ code, message, retry_after_ms: retryAfterMs }),
    headers:
      retryAfterMs === undefined
        ? headers
        : { ...headers, "retry-after": `${Math.ceil(retryAfterMs / 1000)}` },
  };
}
