import type { Data } from "../protocol/messages.ts";

/**
 * The boundary between gateways and what sequences, stores and delivers events. Two implementations: embedded (this
 * process, SQLite or memory) and NATS JetStream. Only a broker assigns positions.
 *
 * What every implementation promises (test/broker/contract.ts):
 * - A publish is done after the event is stored. A published event that was not a duplicate is delivered exactly once to
 *   this process if the room is subscribed, before `done` is called.
 * - `deliver` is called with a room's events in increasing `seq`, each once, only for subscribed rooms, and only for
 *   stored events. After `subscribe` resolved with head h, all events above h come, and none at or below it. (Over NATS one
 *   that was lost on its way comes up to three seconds later, in its place.)
 * - Publishes from one process to one room keep their order.
 * - The same user's same `id` in the same room, within the dedupe window, is stored and delivered once.
 */
export interface Broker<Origin> {
  /** Names one life of the whole store; positions of another epoch mean nothing. */
  readonly epoch: string;

  /** Whether it stores messages, as far as is known. */
  readonly ready: boolean;

  /**
   * Sequences and stores an event. A callback and no promise: it is called once per message.
   * @param origin comes back with the event in `deliver`, in this process only
   * @param done called once, perhaps before `publish` returns
   */
  publish(draft: Draft, origin: Origin, done: Done<Origin>): void;

  /** Starts delivery of a room's events. @returns the seq of its last event; 0 in a room never used */
  subscribe(room: string): Promise<number>;
  unsubscribe(room: string): void;

  /**
   * Whether the log of a subscribed room goes as far as `seq`, asked of whoever knows best; then it is delivered as far, if
   * it was not yet. Whoever comes from another gateway may be ahead of this one.
   */
  reaches(room: string, seq: number): Promise<boolean>;

  /** Stored events of a room, ascending. */
  read(room: string, range: Range): Promise<Page>;

  /** Resolves when everything published so far is stored or refused. */
  flush(): Promise<void>;
  /** Flushes, marks the shutdown as clean, lets go of files and connections. */
  close(): Promise<void>;
}

/**
 * The broker where the log is: what the application's back end needs of it. A gateway in another thread has one that only
 * passes on what gateways need.
 */
export interface MainBroker<Origin> extends Broker<Origin> {
  /**
   * Answers a publish whose id is known here already, as `publish` does.
   * @returns whether it was one; false too where that cannot be told at once
   */
  repeat(draft: Draft, origin: Origin, done: Done<Origin>): boolean;

  /**
   * Deletes a message: its text and data, wherever they are kept, and soon from the disk. The room gets an event that
   * tells so; in the message's place reads give an event without content. Its idempotency key stays known.
   * @throws BrokerError (as a rejection); `outcome_unknown` where it is perhaps done in part: asked again, it goes on
   */
  delete(room: string, target: number): Promise<Deletion>;
}

/** `missing`: there is no such message, or retention has taken it. */
export type Deletion = "deleted" | "already" | "missing";

/** A message before it has a position. */
export interface Draft {
  readonly room: string;
  /** User id and display name of the sender. */
  readonly user: string;
  readonly from: string;
  readonly text: string;
  /** Idempotency key. */
  readonly id: string | undefined;
  readonly data: Data | undefined;
  /** `data` as JSON text, so that it is written once. */
  readonly dataJson: string | undefined;
}

/** What the event of a deletion is published as: of nobody, and without content. */
export const deletionDraft = (room: string): Draft => ({
  room,
  user: "",
  from: "",
  text: "",
  id: undefined,
  data: undefined,
  dataJson: undefined,
});

/** An entry of a room's log. */
export interface RoomEvent {
  readonly room: string;
  readonly seq: number;
  /** At most the seq of the event before it. */
  readonly prev: number;
  readonly user: string;
  readonly from: string;
  readonly text: string;
  /** Milliseconds since 1970, set when the event was sequenced. */
  readonly ts: number;
  readonly id: string | undefined;
  readonly data: Data | undefined;
  /** Length of `data` as JSON; 0 where there is none. */
  readonly dataBytes: number;
  /**
   * 0 for a message. Otherwise the seq of a message that was deleted, and there is no content: the event's own seq where
   * it stands in that message's place, a smaller one where it tells of the deletion.
   */
  readonly target: number;
}

export interface Published {
  readonly seq: number;
  readonly ts: number;
  /** The id was known: nothing was stored, `seq` and `ts` are the first one's. */
  readonly duplicate: boolean;
}

/**
 * How a publish ended. Must not throw.
 * @param outcome a BrokerError is overloaded, unavailable, outcome_unknown, refused, banned or muted
 */
export type Done<Origin> = (
  draft: Draft,
  origin: Origin,
  outcome: Published | BrokerError,
) => void;

/** Called once per event, synchronously one after the other. */
export type Deliver<Origin> = (
  event: RoomEvent,
  origin: Origin | undefined,
) => void;

/** Events with `after < seq <= upto`: the oldest or the latest of them. */
export interface Range {
  readonly after: number;
  readonly upto: number;
  readonly take: "oldest" | "latest";
  readonly limit: number;
  /** Stop once text and data of what was read pass this; at least one event is read. */
  readonly bytes: number;
}

export interface Page {
  readonly events: readonly RoomEvent[];
  /** The range holds more events in the direction away from `take`'s end. */
  readonly more: boolean;
}

export type BrokerErrorCode =
  | "overloaded"
  | "unavailable"
  | "outcome_unknown"
  /** The application does not want it (src/webhooks). */
  | "refused"
  /** Its user was banned or muted while the application was asked. */
  | "banned"
  | "muted";

export class BrokerError extends Error {
  constructor(
    readonly code: BrokerErrorCode,
    message: string,
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }
}

/**
 * Publishes a message that comes from no connection of this process.
 * @throws BrokerError (as a rejection)
 */
export function publishForNobody<Origin>(
  broker: Broker<Origin>,
  draft: Draft,
): Promise<Published> {
  return new Promise((resolve, reject) =>
    broker.publish(
      draft,
      // Only handed back: `deliver` knows events without an origin, and this `done` looks at none.
      undefined as Origin,
      (_draft, _origin, outcome) => {
        if (outcome instanceof BrokerError) reject(outcome);
        else resolve(outcome);
      },
    ),
  );
}
