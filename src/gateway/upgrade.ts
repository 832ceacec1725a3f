import {
  CODEC_NAMES,
  SUBPROTOCOL_PREFIX,
  type Codec,
} from "../protocol/codec.ts";
import { codecByName } from "../protocol/codecs.ts";
import type { ErrorCode, Limit } from "../protocol/errors.ts";
import { MAX_ROOM_BYTES, nameProblem, quote } from "../protocol/validate.ts";

/** What a request to `/chat` asks for. */
export interface ChatRequest {
  readonly codec: Codec;
  /** The subprotocol to answer with. */
  readonly subprotocol: string | undefined;
  readonly room: string | undefined;
  readonly name: string | undefined;
  readonly session: string | undefined;
  /** Of the query; a header may hold one too. */
  readonly token: string | undefined;
}

/** A refused upgrade: becomes an HTTP response. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: ErrorCode | "not_a_websocket" | "not_found",
    message: string,
    readonly headers: Record<string, string> = {},
    /** The limit that was met, where it is one of them. */
    readonly limit?: Limit,
  ) {
    super(message);
  }

  response(): Response {
    return Response.json(
      { code: this.code, message: this.message },
      { status: this.status, headers: this.headers },
    );
  }
}

/** @throws Refusal the request does not ask for a WebSocket */
export function needWebSocket(request: Request): void {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket")
    throw new Refusal(
      426,
      "not_a_websocket",
      "connect with a WebSocket client",
      {
        upgrade: "websocket",
        connection: "upgrade",
      },
    );
}

/**
 * Format by subprotocol, or by `?format=` where the client offers none.
 * @throws Refusal 400
 */
export function readChatRequest(
  request: Request,
  url: URL,
  maxNameBytes: number,
): ChatRequest {
  const query = url.searchParams;
  const { codec, subprotocol } = negotiate(
    request.headers.get("sec-websocket-protocol"),
    query.get("format"),
  );
  return {
    codec,
    subprotocol,
    room: readName(query, "room", MAX_ROOM_BYTES),
    name: readName(query, "name", maxNameBytes),
    session: query.get("session") || undefined,
    token: query.get("token") || undefined,
  };
}

function negotiate(
  offered: string | null,
  format: string | null,
): { codec: Codec; subprotocol: string | undefined } {
  if (offered !== null) {
    for (const offer of offered.split(",")) {
      const subprotocol = offer.trim();
      const codec = subprotocol.startsWith(SUBPROTOCOL_PREFIX)
        ? codecByName.get(subprotocol.slice(SUBPROTOCOL_PREFIX.length))
        : undefined;
      if (codec) return { codec, subprotocol };
    }
    throw new Refusal(
      400,
      "invalid_field",
      `none of the offered subprotocols is known; known are ${CODEC_NAMES.map((n) => SUBPROTOCOL_PREFIX + n).join(", ")}`,
    );
  }
  const codec = codecByName.get(format ?? "json");
  if (!codec)
    throw new Refusal(
      400,
      "invalid_field",
      `format ${quote(format!)} is not known; known are ${CODEC_NAMES.join(", ")}`,
    );
  return { codec, subprotocol: undefined };
}

/** An empty parameter counts as none. */
function readName(
  query: URLSearchParams,
  field: string,
  maxBytes: number,
): string | undefined {
  const value = query.get(field);
  if (!value) return undefined;
  const problem = nameProblem(value, maxBytes);
  if (problem) throw new Refusal(400, "invalid_field", `${field} ${problem}`);
  return value;
}
