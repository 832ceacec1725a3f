import type { Config } from "../config/options.ts";
import { MAX_ID_CHARACTERS, MAX_ROOM_BYTES } from "../protocol/validate.ts";
import { MAX_USER_BYTES } from "./request.ts";
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

const PARAMETERS: Readonly<Record<string, object>> = {
  room: {
    type: "string",
    description: "A room's name, percent-encoded",
    "x-name": true,
    "x-max-bytes": MAX_ROOM_BYTES,
  },
  user: {
    type: "string",
    description: "A user's id, percent-encoded",
    "x-name": true,
    "x-max-bytes": MAX_USER_BYTES,
  },
  seq: {
    type: "integer",
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "A message's seq",
  },
};

/** What `checkName` takes, but for its length in bytes. */
const NAME = {
  minLength: 1,
  pattern: "^(?!\\.{1,2}$)[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$",
};

/**
 * A schema as the document tells it: limits are those of this server, in bytes of UTF-8, which JSON Schema has no word for; and as
 * far as it has one, in characters.
 */
function told(schema: object, config: Config): object {
  return JSON.parse(JSON.stringify(schema), (_key, value) => {
    if (value?.["x-max-bytes"] === undefined) return value;
    const { "x-max-bytes": most, "x-name": isName, ...rest } = value;
    const bytes =
      typeof most === "number" ? most : config[most as keyof Config];
    const limit = bytes === Infinity ? {} : { "x-max-bytes": bytes };
    if (rest.type !== "string") return { ...rest, ...limit };
    const length = bytes === Infinity ? {} : { maxLength: bytes };
    return { ...rest, ...(isName ? NAME : {}), ...length, ...limit };
  });
}

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
    schema: {
      type: "string",
      pattern: `^[!-~]([ -~]{0,${MAX_ID_CHARACTERS - 2}}[!-~])?$`,
    },
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
export function openApi(config: Config): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of ROUTES)
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  const document = {
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
  return told(document, config);
}
