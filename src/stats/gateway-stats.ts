import { CODEC_NAMES } from "../protocol/codec.ts";
import { ERROR_CODES, LIMITS, type Limit } from "../protocol/errors.ts";
import { Histogram } from "./histogram.ts";

/** Codes that are counted one by one: more than there are. What a client sends names no code. */
const MAX_CODES = 64;
/** Answers of the HTTP API are counted by these. */
export type StatusClass = "2xx" | "4xx" | "5xx";

/** @param status 200 to 599 */
export const statusClass = (status: number): StatusClass =>
  status < 400 ? "2xx" : status < 500 ? "4xx" : "5xx";

/** Of answers over HTTP, and of mistakes of ours. */
const OTHER_CODES = ["not_a_websocket", "not_found", "internal_error"];

/**
 * What a gateway counts: plain numbers, raised in place where things happen, and read only when somebody asks. Nothing in it
 * is named by what clients send, so that it never grows. It crosses between threads as JSON.
 */
export class GatewayStats {
  /** Connections with a user that were opened. */
  connectionsOpened = 0;
  /** Frames from clients. */
  framesIn = 0;
  /** Their payloads, in bytes. */
  bytesIn = 0;
  /** Messages of this gateway's clients, and of the HTTP API, that were stored. */
  eventsIn = 0;
  /** Those that were known already. */
  duplicates = 0;
  /** Events and notes handed to a member's socket, by `codec.index`. */
  readonly deliveries: number[] = CODEC_NAMES.map(() => 0);
  /** Events and notes turned into a frame, by `codec.index`. */
  readonly encodes: number[] = CODEC_NAMES.map(() => 0);
  /** Payloads of all frames handed to sockets. */
  bytesOut = 0;
  /** Connections closed for too many unsent bytes. */
  slowConsumers = 0;
  /** Error frames and refused requests. */
  readonly errors: Record<string, number> = zeroes([
    ...Object.keys(ERROR_CODES),
    ...OTHER_CODES,
  ]);
  /** Answers of the HTTP API. */
  readonly apiAnswers: Record<StatusClass, number> = zeroes([
    "2xx",
    "4xx",
    "5xx",
  ]);
  /** Refusals by the limit that was met. */
  readonly refused: Record<Limit, number> = zeroes(LIMITS);
  /** From a message's frame until the last slice of its room here was given it; in microseconds. */
  readonly deliveryUs = new Histogram();
  /** How late timers of this thread's event loop are; in microseconds. */
  readonly loopDelayUs = new Histogram();

  /** @param code from a table of this program, never from a client */
  error(code: string, limit?: Limit): void {
    const { errors } = this;
    if (code in errors) errors[code]!++;
    else if (Object.keys(errors).length < MAX_CODES) errors[code] = 1;
    if (limit !== undefined) this.refused[limit]++;
  }
}

function zeroes<Name extends string>(
  names: readonly Name[],
): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<
    Name,
    number
  >;
}
