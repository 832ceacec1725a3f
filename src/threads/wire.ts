import type { BrokerErrorCode } from "../broker/broker.ts";
import type { ErrorCode, Limit } from "../protocol/errors.ts";

/**
 * What crosses between the hub and a gateway thread: calls with flat arguments, which structured clone copies fastest
 * (measured per event: 1.1 µs as flat arrays, 1.8 as JSON text, 3.2 as objects; making and reading included).
 *
 * A number that comes back with an answer is the asking side's. Rooms of events are named by the number of the
 * subscription: what is still on its way when a room is left and entered again cannot be taken for the new one's.
 */
export type Part = string | number | boolean | undefined | Uint8Array;

/** Calls of a gateway thread, in the hub. */
export interface ToHub {
  publish(
    number: number,
    room: string,
    user: string,
    from: string,
    text: string,
    id?: string,
    dataJson?: string,
  ): void;
  subscribe(number: number, room: string): void;
  unsubscribe(number: number): void;
  /** What the room's members use here: bit `1 << codec.index` for each. */
  codecs(subscription: number, codecs: number): void;
  /** Whether the room receives more here than its fan-out can carry. */
  overloaded(subscription: number, overloaded: boolean): void;
  read(
    number: number,
    room: string,
    after: number,
    upto: number,
    take: "oldest" | "latest",
    limit: number,
    bytes: number,
  ): void;
  reaches(number: number, room: string, seq: number): void;
  flush(number: number): void;

  /** @param place the number of the place, if there is one */
  admit(
    place: number,
    address: string,
    kind: "user" | "guest" | "nobody",
    id: string | undefined,
    name: string | undefined,
  ): void;
  leave(place: number): void;
  enter(number: number, room: string, place: number): void;
  exit(room: string, place: number): void;
  members(number: number, room: string): void;
  totals(number: number): void;
  /** Asks for the text of `/metrics`. */
  metrics(number: number): void;
  relay(room: string, user: string, from: string, active: boolean): void;

  /** A request of the HTTP API, from somebody who has shown a key. */
  api(
    number: number,
    method: string,
    path: string,
    query: string,
    idempotencyKey: string | undefined,
    body: string,
  ): void;

  /** The answer to `carryOut`. */
  carriedOut(number: number, reached: number): void;

  /** The answer to `inspect`. */
  inspected(number: number, connections: number, rooms: number): void;
  /** @param stats JSON of GatewayStats */
  counted(number: number, stats: string): void;
  /** @param line of the log */
  log(line: string): void;
  /** All connections are gone. */
  drained(): void;
  /** Nothing listens any more. */
  stopped(): void;
  /** The answer to `beat`. */
  alive(): void;
}

/** Calls of the hub, in a gateway thread. */
export interface ToThread {
  /**
   * An event of the log.
   * @param publish the number of this thread's publish that it came from, which is settled with it; 0 for none
   */
  event(
    subscription: number,
    seq: number,
    publish: number,
    json: string | undefined,
    msgpack?: Uint8Array,
    text?: string,
  ): void;
  /** What the next events have in common: their time. */
  time(ts: number): void;
  /** The next event's `prev`, where that is not the seq before it. */
  prev(prev: number): void;
  /** Seq of the message that the next event tells the deletion of. */
  target(target: number): void;
  /** A publish that ends without an event here. */
  published(number: number, seq: number, ts: number, duplicate: boolean): void;
  unpublished(
    number: number,
    code: BrokerErrorCode,
    message: string,
    retryAfterMs: number | undefined,
  ): void;
  subscribed(number: number, head: number): void;
  /** @param page JSON of a Page */
  page(number: number, page: string): void;
  reached(number: number, reached: boolean): void;
  flushed(number: number): void;
  /** Whether the broker stores messages: told before `totals`. */
  ready(ready: boolean): void;
  /** What `subscribe`, `reaches` or `read` could not do. */
  failed(
    number: number,
    code: BrokerErrorCode,
    message: string,
    retryAfterMs: number | undefined,
  ): void;

  admitted(
    place: number,
    users: number,
    id: string | undefined,
    name: string | undefined,
  ): void;
  refused(
    place: number,
    code: ErrorCode,
    message: string,
    limit: Limit | undefined,
  ): void;
  entered(number: number, room: string, count: number): void;
  /** Somebody entered or left a room that this thread is subscribed to. */
  count(room: string, count: number): void;
  /** @param members JSON of Members */
  members(number: number, members: string): void;
  totals(number: number, connections: number, users: number): void;
  /** @param change JSON of a PresenceChange; undefined where who came and went is no longer known */
  presence(room: string, count: number, change: string | undefined): void;
  note(room: string, user: string, from: string, active: boolean): void;
  metrics(number: number, text: string): void;

  /** @param headers JSON of an object */
  apiAnswered(
    number: number,
    status: number,
    body: string,
    headers: string,
  ): void;

  /** @param order JSON of an Order */
  carryOut(number: number, order: string): void;

  listen(port: number): void;
  /** Another certificate for connections from now on, and its key: PEM. */
  tls(cert: string, key: string): void;
  inspect(number: number): void;
  stats(number: number): void;
  /** From now on new connections are refused. */
  refuse(): void;
  drain(timeoutMs: number, graceMs: number, connections: number): void;
  stop(): void;
  /** Asks for a sign of life. */
  beat(): void;
}

/** Every name of an interface once: an operation's number on the wire is its place here. */
const operations =
  <Calls>() =>
  <const Names extends readonly (keyof Calls & string)[]>(
    ...names: [keyof Calls] extends [Names[number]] ? Names : never
  ): readonly (keyof Calls & string)[] =>
    names;

export const TO_HUB = operations<ToHub>()(
  "publish",
  "subscribe",
  "unsubscribe",
  "codecs",
  "overloaded",
  "reaches",
  "read",
  "flush",
  "admit",
  "leave",
  "enter",
  "exit",
  "members",
  "totals",
  "relay",
  "api",
  "carriedOut",
  "metrics",
  "inspected",
  "counted",
  "log",
  "drained",
  "stopped",
  "alive",
);

export const TO_THREAD = operations<ToThread>()(
  "event",
  "time",
  "prev",
  "target",
  "published",
  "unpublished",
  "subscribed",
  "page",
  "reached",
  "flushed",
  "ready",
  "failed",
  "admitted",
  "refused",
  "entered",
  "count",
  "members",
  "totals",
  "presence",
  "note",
  "apiAnswered",
  "carryOut",
  "metrics",
  "listen",
  "tls",
  "inspect",
  "stats",
  "refuse",
  "drain",
  "stop",
  "beat",
);
