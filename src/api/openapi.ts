import { MAX_ID_CHARACTERS } from "../protocol/validate.ts";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

/** What every route may fail with. */
const COMMON_FAILURES = [400, 401, 500, 503];
/** And where users with a token may ask. */
const MODERATORS_FAILURES = [403, 429];

const FAILURES: Readonly<Record<number, string>> = {
  400: "Something in the request is not as it must be",
  401: "The key, or the token, is missing or wrong",
  403: "It is not allowed",
  404: "There is no such thing",
  409: "There are as many of them as there may be",
  408: "The body did not come in time",
  413: "The body, the text or the data is too large",
  429: "Too many requests of this user: try again later",
  500: "The server failed",
  503: "Not now: try again later",
  504: "It may have happened or not: repeat it, with the same key if there is one",
};

const error = (status: number): object => ({
  description: FAILURES[status]!,
  content: {
    "application/json": { schema: { $ref: "#/components/schemas/Error" } },
  },
});

/** A room is text of at most 128 bytes, and so on: what the pattern of a path cannot say is said where it is refused. */
const PARAMETERS: Readonly<Record<string, object>> = {
  room: { type: "string", description: "A room's name, percent-encoded" },
  user: { type: "string", description: "A user's id, percent-encoded" },
  seq: { type: "integer", minimum: 0, description: "A message's seq" },
};

function parametersOf({ path, query, idempotencyKey }: Route): object[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: PARAMETERS[name!],
  }));
  const inQuery = Object.entries(query?.properties ?? {}).map(
    ([name, schema]) => ({ name, in: "query", required: false, schema }),
  );
  const key = {
    name: "Idempotency-Key",
    in: "header",
    required: false,
    description:
      "Becomes the message's `id`; how long it is known, `--dedupe-window-ms` tells",
    schema: { type: "string", pattern: `^[ -~]{1,${MAX_ID_CHARACTERS}}$` },
  };
  return [...inPath, ...inQuery, ...(idempotencyKey ? [key] : [])];
}

function operation(route: Route): object {
  const { name, summary, description, body, answers, fails = [] } = route;
  const { moderators } = route;
  const parameters = parametersOf(route);
  const responses: Record<string, object> = {};
  for (const [status, { description, schema }] of Object.entries(answers))
    responses[status] = {
      description,
      ...(schema ? { content: { "application/json": { schema } } } : {}),
    };
  for (const status of [
    ...COMMON_FAILURES,
    ...(body ? [408, 413] : []),
    ...(moderators ? MODERATORS_FAILURES : []),
    ...fails,
  ])
    responses[status] = error(status);
  return {
    operationId: name,
    summary,
    ...(description ? { description } : {}),
    ...(moderators ? { security: [{ key: [] }, { moderator: [] }] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: true,
            content: { "application/json": { schema: body } },
          },
        }
      : {}),
    responses,
  };
}

/** The OpenAPI document of the table of routes (https://spec.openapis.org/oas/v3.1.1). */
export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of ROUTES)
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  return {
    openapi: "3.1.0",
    info: {
      title: "roomcast, for the application's back end",
      version: "1.0.0",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/api/v1" }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          description: "A key of --api-key",
        },
        moderator: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description:
            "A user's token with the rights join and moderate for the room",
        },
      },
      schemas: {
        Error: {
          type: "object",
          required: ["code", "message"],
          properties: {
            code: { type: "string" },
            message: { type: "string" },
            retry_after_ms: { type: "integer", minimum: 0 },
          },
        },
      },
    },
  };
}

let text: string | undefined;

export const openApiText = (): string => (text ??= JSON.stringify(openApi()));
