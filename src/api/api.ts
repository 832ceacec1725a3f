import type { Logger } from "../logging/logger.ts";
import {
  ApiError,
  failure,
  methodNotAllowed,
  type ApiAnswer,
  type ApiRequest,
} from "./answer.ts";
import type { ApiHandler } from "./front.ts";
import type { ApiPorts } from "./ports.ts";
import { fits, parameters, segmentsOf } from "./paths.ts";
import {
  readIdempotencyKey,
  readJson,
  readQuery,
  shapeCheck,
} from "./request.ts";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

interface Compiled extends Route {
  /** `{name}` where anything fits. */
  readonly segments: readonly string[];
  readonly checkQuery: ((value: unknown) => void) | undefined;
  readonly checkBody: ((value: unknown) => void) | undefined;
}

/** Answers requests from the table of routes. In the main thread. */
export function createApi(ports: ApiPorts, logger: Logger): ApiHandler {
  const routes = ROUTES.map((route): Compiled => ({
    ...route,
    segments: segmentsOf(route.path),
    checkQuery: route.query && shapeCheck(route.query),
    checkBody: route.body && shapeCheck(route.body),
  }));

  async function answer(request: ApiRequest): Promise<ApiAnswer> {
    const segments = segmentsOf(request.path);
    const here = routes.filter((route) => fits(route.segments, segments));
    // Of the answer to a HEAD the server sends no body.
    const asked = request.method === "HEAD" ? "GET" : request.method;
    const route = here.find(({ method }) => method === asked);
    if (here.length === 0)
      throw new ApiError(
        404,
        "not_found",
        `there is nothing at ${request.path.slice(0, 100)}`,
      );
    if (!route)
      throw methodNotAllowed(
        request.method,
        here.map(({ method }) => method),
      );
    const query = route.query ? readQuery(route.query, request.query) : {};
    route.checkQuery?.(query);
    const body = route.body ? readJson(request.body) : undefined;
    route.checkBody?.(body);
    const { status, body: said } = await route.run(ports, {
      params: parameters(route.segments, segments),
      query,
      body,
      idempotencyKey: route.idempotencyKey
        ? readIdempotencyKey(request.idempotencyKey)
        : undefined,
    });
    return { status, body: said ? JSON.stringify(said) : "", headers: {} };
  }

  return (request) => answer(request).catch((error) => failure(error, logger));
}
