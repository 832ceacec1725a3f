import { Deque } from "../../collections/deque.ts";
import {
  BrokerError,
  deletionDraft,
  type Done,
  type Draft,
  type Published,
} from "../broker.ts";
import type { Feed } from "./feed.ts";
import type { Health } from "./health.ts";
import { Pending, type Lane } from "./lane.ts";
import { Lanes } from "./lanes.ts";
import { encodeHeader, LinkError, type Link } from "./link.ts";
import type { StreamReader } from "./reader.ts";
import {
  bodyPrefix,
  decode,
  deletionId,
  encodeBody,
  encodeDeletion,
  messageId,
  statusIn,
  tagNumber,
  type Stored,
} from "./stored.ts";
import type { Place } from "./subjects.ts";
import type { WireMessage } from "./wire.ts";

export interface PublisherOptions {
  /** Messages, and their bytes, that were sent and not answered. */
  readonly maxInFlight: number;
  readonly maxInFlightBytes: number;
  /** Publishes that may be unsettled. */
  readonly maxUnsettled: number;
  /** Ms after which a publish is settled, whatever happens. */
  readonly timeoutMs: number;
}

const RETRY_AFTER_MS = 1000;
/** An answer that takes longer does not come: the server that had the message is gone, or stopped. */
const ATTEMPT_MS = 1500;
const MAX_RECOVERIES = 16;
const MAX_BACKOFF_MS = 1000;
/** Bytes of unsettled publishes in all. */
const MAX_UNSETTLED_BYTES = 128 * 1024 * 1024;
/** The headers around a body. */
const ENVELOPE_BYTES = 256;
/** Its first publish is on its way through the replicas: no answer yet as to its seq. */
const DUPLICATE_IN_PROCESS = 10158;

/** What the rest of the broker does for publishes. */
export interface Surroundings {
  place(room: string): Place;
  feed(room: string): Feed | undefined;
  /** A message with an id is stored. */
  remember(key: string, seq: number, ts: number): void;
  /** An own message of this seq is stored and was not delivered yet. */
  awaitDelivery(feed: Feed, seq: number): void;
  /** What stands in the place of a deleted message. Rejects with LinkError. */
  tombstone(place: Place, seq: number): Promise<Stored | undefined>;
  /** Messages with `after < seq <= upto`, with those in their places that were deleted. Rejects with LinkError. */
  withTombstones(
    place: Place,
    messages: readonly Stored[],
    after: number,
    upto: number,
  ): Promise<readonly Stored[]>;
}

/**
 * Sends messages to the streams and finds out what became of them.
 *
 * Messages of all rooms are in flight together, also those of one room. What fails is sent again only where that keeps the
 * room's order: first everything in flight in the room is settled or given up, then the leader is asked what the stream
 * holds; a message that is missing while a later one is there is not sent again (`outcome_unknown`: its sender decides).
 */
export class Publisher<Origin> {
  readonly #lanes = new Lanes<Origin>();
  /** By number, which is the order in which they came. */
  readonly #unsettled = new Map<number, Pending<Origin>>();
  #unsettledBytes = 0;
  #repeats = 0;
  #inFlight = 0;
  #inFlightBytes = 0;
  /** Lanes that have something to send, in turn. */
  readonly #turns = new Deque<Lane<Origin>>();
  #pumping = false;
  readonly #troubled = new Set<Lane<Origin>>();
  #recoveries = 0;
  readonly #byKey = new Map<string, Pending<Origin>>();
  #flushes: { upto: number; resolve: () => void }[] = [];
  #numbers = 0;
  /** Of this broker's life, so that a tag is never used twice. */
  readonly #gateway = Buffer.from(
    crypto.getRandomValues(new Uint8Array(9)),
  ).toString("base64url");
  readonly #prefix = bodyPrefix(this.#gateway);
  /** Where answers go, before a publish's number. */
  readonly #answers: string;

  constructor(
    private readonly link: Link,
    private readonly reader: StreamReader,
    private readonly health: Health,
    private readonly around: Surroundings,
    private readonly options: PublisherOptions,
  ) {
    this.#answers = link.replies(this.#answered);
  }

  /** Publishes sent and not yet acknowledged. */
  get inFlight(): number {
    return this.#inFlight;
  }

  publish(draft: Draft, origin: Origin, done: Done<Origin>): void {
    const refusal = this.#publish(draft, origin, done, 0);
    if (refusal) done(draft, origin, refusal);
  }

  /**
   * Publishes the event that tells of a deletion: once, whoever does so.
   * @throws BrokerError (as a rejection)
   */
  tell(room: string, target: number): Promise<Published> {
    return new Promise((resolve, reject) => {
      const refusal = this.#publish(
        deletionDraft(room),
        // Of nobody's connection; it is only handed back.
        undefined as Origin,
        (_draft, _origin, outcome) => {
          if (outcome instanceof BrokerError) reject(outcome);
          else resolve(outcome);
        },
        target,
      );
      if (refusal) reject(refusal);
    });
  }

  /** @param target seq of the message of whose deletion it tells; 0: it is a message */
  #publish(
    draft: Draft,
    origin: Origin,
    done: Done<Origin>,
    target: number,
  ): BrokerError | undefined {
    const { options } = this;
    if (this.#full)
      return new BrokerError(
        "overloaded",
        "too many events wait for NATS",
        RETRY_AFTER_MS,
      );
    const key =
      target > 0
        ? deletionId(draft.room, target)
        : draft.id === undefined
          ? undefined
          : messageId(draft, draft.id);
    if (key !== undefined && this.join(key, draft, origin, done))
      return undefined;
    let lane = this.#lanes.get(draft.room);
    const feed = this.around.feed(draft.room);
    const place = lane?.place ?? feed?.place ?? this.around.place(draft.room);
    if (!this.health.takes(place.index))
      return unavailable("NATS does not take messages now");
    const number = ++this.#numbers;
    const tag = this.#tag(number);
    const body =
      target > 0 ? encodeDeletion(target, tag) : encodeBody(draft, tag);
    const bytes = Buffer.byteLength(body);
    if (bytes + ENVELOPE_BYTES > this.link.maxPayload)
      return unavailable("the message is larger than NATS takes (max_payload)");
    lane ??= this.#lanes.add(place);
    // Others may have published since.
    if (lane.idle && !lane.troubled)
      lane.top = feed?.started ? feed.position : undefined;
    const pending = new Pending(
      number,
      lane,
      draft,
      target,
      origin,
      done,
      key,
      body,
      bytes,
      performance.now() + options.timeoutMs,
    );
    if (key !== undefined) this.#byKey.set(key, pending);
    this.#unsettled.set(number, pending);
    this.#unsettledBytes += bytes;
    lane.waiting.push(pending);
    this.#enqueue(lane);
    this.#pumpSoon();
    return undefined;
  }

  get #full(): boolean {
    return (
      this.#unsettled.size + this.#repeats >= this.options.maxUnsettled ||
      this.#unsettledBytes >= MAX_UNSETTLED_BYTES
    );
  }

  /** Lets a publish end as the one with its key, if that is under way. @returns whether it is */
  join(key: string, draft: Draft, origin: Origin, done: Done<Origin>): boolean {
    const first = this.#byKey.get(key);
    if (!first || this.#full) return false;
    (first.repeats ??= []).push({ draft, origin, done });
    this.#repeats++;
    return true;
  }

  /** The publish that a message of a stream is of, if it is one of this process and not settled. */
  own(tag: string): Pending<Origin> | undefined {
    const dot = this.#gateway.length;
    if (tag[dot] !== "." || !tag.startsWith(this.#gateway)) return undefined;
    return this.#unsettled.get(Number(tag.slice(dot + 1)));
  }

  /** The publish of a message that has this very body: then its event is the draft's. */
  publishOf(body: string): Pending<Origin> | undefined {
    const number = tagNumber(body, this.#prefix);
    const pending = number > 0 ? this.#unsettled.get(number) : undefined;
    return pending?.target === 0 && pending.body === body ? pending : undefined;
  }

  /** Its event was delivered: that it is stored needs no other answer. */
  delivered(pending: Pending<Origin>, seq: number, ts: number): void {
    const { lane } = pending;
    this.health.works(lane.place.index);
    this.#isStored(pending, seq);
    this.#settle(pending, { seq, ts, duplicate: false });
    this.#pump();
  }

  /** A room's feed was started or ended, or went on over what the stream no longer has: who waits for it looks again. */
  feedChanged(room: string): void {
    for (const pending of this.#lanes.get(room)?.sent ?? [])
      if (pending.state === "stored") this.#afterStored(pending, undefined);
  }

  /** Resolves when everything published so far is settled. */
  flush(): Promise<void> {
    if (this.#unsettled.size === 0) return Promise.resolve();
    return new Promise((resolve) =>
      this.#flushes.push({ upto: this.#numbers, resolve }),
    );
  }

  /** The connection is gone: what was sent on it has no answer. */
  down(): void {
    for (const pending of this.#unsettled.values()) this.#lost(pending);
  }

  /** To be called a few times a second. */
  tick(now: number): void {
    for (const pending of this.#unsettled.values()) {
      if (!pending.inFlight || now - pending.sentAt < ATTEMPT_MS) continue;
      this.health.fails(pending.lane.place.index);
      this.#lost(pending);
    }
    for (const pending of this.#unsettled.values()) {
      if (pending.deadline > now) break;
      this.#expire(pending);
    }
    for (const lane of this.#troubled) this.#tend(lane, now);
    this.#pump();
  }

  #tag(number: number): string {
    return `${this.#gateway}.${number}`;
  }

  #enqueue(lane: Lane<Origin>): void {
    if (lane.queued || lane.troubled || lane.waiting.length === 0) return;
    lane.queued = true;
    this.#turns.push(lane);
  }

  /**
   * Sends at the end of this turn of the event loop. The client writes what one callback publishes at once, and each
   * socket's frame comes in a callback of its own: a write, and for NATS a read, for each message.
   */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(this.#pumpNow);
  }

  readonly #pumpNow = (): void => {
    this.#pumping = false;
    this.#pump();
  };

  /** Sends what may be sent, one message of each room in turn. */
  #pump(): void {
    const { maxInFlight, maxInFlightBytes } = this.options;
    while (
      this.#turns.length > 0 &&
      this.#inFlight < maxInFlight &&
      this.#inFlightBytes < maxInFlightBytes &&
      this.link.up
    ) {
      const lane = this.#turns.shift()!;
      lane.queued = false;
      // Without a known seq nobody could tell afterwards what the stream held: then one at a time.
      if (lane.troubled || (lane.top === undefined && lane.sent.size > 0))
        continue;
      const pending = lane.waiting.shift();
      if (pending && !pending.settled) this.#send(pending);
      this.#enqueue(lane);
      this.#forget(lane);
    }
  }

  #send(pending: Pending<Origin>): void {
    const { lane } = pending;
    if (pending.attempts === 0) pending.above = lane.top;
    pending.attempts++;
    pending.state = "sent";
    pending.sentAt = performance.now();
    lane.sent.add(pending);
    if (!pending.inFlight) {
      pending.inFlight = true;
      this.#inFlight++;
      this.#inFlightBytes += pending.bytes;
    }
    try {
      this.link.publish(
        lane.place.subject,
        pending.body,
        pending.bytes,
        `${this.#answers}${pending.number}`,
        encodeHeader("Nats-Msg-Id", pending.key ?? this.#tag(pending.number)),
      );
    } catch {
      // The client is closing. Whether it went out is not known.
      this.#lost(pending);
    }
  }

  #landed(pending: Pending<Origin>): void {
    if (!pending.inFlight) return;
    pending.inFlight = false;
    this.#inFlight--;
    this.#inFlightBytes -= pending.bytes;
  }

  readonly #answered = (number: number, message: WireMessage): void => {
    const pending = this.#unsettled.get(number);
    // Mostly its event was faster.
    if (!pending || pending.state === "stored") return;
    this.#landed(pending);
    const { index } = pending.lane.place;
    const ack = ackOf(message);
    if (ack.error) {
      pending.refusals++;
      if (
        ack.error.code === 503 ||
        ack.error.err_code === DUPLICATE_IN_PROCESS
      ) {
        if (ack.error.code === 503) this.health.fails(index);
        pending.state = "open";
        this.#trouble(pending.lane);
      } else this.#fail(pending, `NATS refused it: ${ack.error.description}`);
    } else {
      this.health.works(index);
      if (ack.duplicate) void this.#check(pending, ack.seq!);
      else {
        this.#isStored(pending, ack.seq!);
        this.#afterStored(pending, undefined);
      }
    }
    this.#pump();
  };

  #isStored(pending: Pending<Origin>, seq: number): void {
    const { lane } = pending;
    this.#landed(pending);
    lane.isStored(pending, seq);
    // Streams store and answer in order: one before it that has no answer has none coming.
    const { first } = lane;
    if (first && first.number < pending.number && first.state === "sent")
      this.#trouble(lane);
    this.#enqueue(lane);
  }

  /** Settles it, or leaves that to the delivery of its event. @param ts where it is known */
  #afterStored(pending: Pending<Origin>, ts: number | undefined): void {
    const { lane, seq } = pending;
    const feed = this.around.feed(lane.place.room);
    if (feed && !feed.started) return;
    if (feed && seq > feed.position) this.around.awaitDelivery(feed, seq);
    else if (feed && seq > feed.from)
      // The stream removed it before it was delivered. Sent again with its id, it is answered as a duplicate.
      this.#settle(pending, unknown("it was stored and removed at once"));
    else if (ts !== undefined)
      this.#settle(pending, { seq, ts, duplicate: false });
    else void this.#settleWithTime(pending);
  }

  /** Nobody here listens to the room: the time at which it was stored must be read. */
  async #settleWithTime(pending: Pending<Origin>): Promise<void> {
    const { seq, lane } = pending;
    let ts = Date.now();
    try {
      ts = (await this.#stored(lane.place, seq))?.ts ?? ts;
    } catch (error) {
      // That it is stored is what counts.
      if (!(error instanceof LinkError)) throw error;
    }
    this.#settle(pending, { seq, ts, duplicate: false });
  }

  /** What was stored, or what is left of it. @throws LinkError */
  async #stored(place: Place, seq: number): Promise<Stored | undefined> {
    return (
      (await this.reader.at(place, seq)) ??
      (await this.around.tombstone(place, seq))
    );
  }

  /** NATS knew the id: from an earlier attempt of this publish, or from another publish. */
  async #check(pending: Pending<Origin>, seq: number): Promise<void> {
    pending.state = "checking";
    const { lane } = pending;
    try {
      const stored = await this.#stored(lane.place, seq);
      if (pending.settled) return;
      const tag = stored && decode(lane.place.room, stored, 0)?.tag;
      if (tag === undefined || this.own(tag) !== pending) {
        const ts = stored?.ts ?? Date.now();
        this.#settle(pending, { seq, ts, duplicate: true });
      } else {
        this.#isStored(pending, seq);
        this.#afterStored(pending, stored!.ts);
      }
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      if (pending.settled) return;
      pending.state = "open";
      this.#trouble(lane);
    }
    this.#pump();
  }

  /** An attempt has no answer coming. */
  #lost(pending: Pending<Origin>): void {
    this.#landed(pending);
    if (pending.state !== "sent") return;
    pending.state = "open";
    this.#trouble(pending.lane);
  }

  #trouble(lane: Lane<Origin>): void {
    lane.troubled = true;
    this.#troubled.add(lane);
  }

  /** Brings a troubled lane a step further, where it can go. */
  #tend(lane: Lane<Origin>, now: number): void {
    if (lane.recovering || !lane.quiet) return;
    if (lane.open.length === 0) {
      this.#troubled.delete(lane);
      lane.troubled = false;
      lane.recoveries = 0;
      this.#enqueue(lane);
      this.#forget(lane);
    } else if (
      this.link.up &&
      now >= lane.retryAt &&
      this.#recoveries < MAX_RECOVERIES
    )
      void this.#recover(lane);
  }

  async #recover(lane: Lane<Origin>): Promise<void> {
    lane.recovering = true;
    this.#recoveries++;
    lane.retryAt =
      performance.now() +
      Math.min(100 * 2 ** lane.recoveries++, MAX_BACKOFF_MS);
    try {
      const [first, ...others] = lane.open;
      // One alone with nothing after it can be sent again as it is: NATS knows its id.
      if (others.length > 0 || first!.number < lane.storedNumber)
        await this.#findStored(lane, first!.above ?? 0);
      for (const pending of lane.open)
        if (pending.number < lane.storedNumber)
          this.#settle(
            pending,
            unknown("NATS did not answer, and a later message was stored"),
          );
        else if (this.link.up) this.#send(pending);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
    } finally {
      this.#recoveries--;
      lane.recovering = false;
    }
  }

  /** Looks in the stream for what was published and has no answer. @throws LinkError */
  async #findStored(lane: Lane<Origin>, position: number): Promise<void> {
    const { place } = lane;
    for (;;) {
      // A replica is quick to read but may be behind; the leader has the last word.
      const { messages } = await this.reader.after(place, position, Infinity);
      const found = [...messages];
      if (found.length === 0) {
        const next = await this.reader.leaderAfter(place, position);
        if (!next) return;
        found.push(next);
      }
      const upto = found.at(-1)!.seq;
      for (const stored of await this.around.withTombstones(
        place,
        found,
        position,
        upto,
      )) {
        position = stored.seq;
        const tag = decode(place.room, stored, 0)?.tag;
        const pending = tag === undefined ? undefined : this.own(tag);
        if (!pending || pending.state === "stored") continue;
        this.#isStored(pending, stored.seq);
        this.#afterStored(pending, stored.ts);
      }
    }
  }

  #expire(pending: Pending<Origin>): void {
    this.#fail(
      pending,
      this.link.up ? "NATS did not answer in time" : "NATS is not there",
    );
  }

  /** Ends it without success: unavailable only where no attempt can have stored it. */
  #fail(pending: Pending<Origin>, why: string): void {
    this.#settle(
      pending,
      pending.refusals === pending.attempts ? unavailable(why) : unknown(why),
    );
  }

  #settle(pending: Pending<Origin>, outcome: Published | BrokerError): void {
    if (pending.settled) return;
    pending.settled = true;
    const { lane, draft, origin, done, repeats, key } = pending;
    this.#landed(pending);
    this.#unsettled.delete(pending.number);
    this.#unsettledBytes -= pending.bytes;
    lane.sent.delete(pending);
    if (key !== undefined) {
      this.#byKey.delete(key);
      if (draft.id !== undefined && !(outcome instanceof BrokerError))
        this.around.remember(key, outcome.seq, outcome.ts);
    }
    this.#enqueue(lane);
    this.#forget(lane);
    done(draft, origin, outcome);
    if (repeats) {
      this.#repeats -= repeats.length;
      for (const repeat of repeats)
        repeat.done(
          repeat.draft,
          repeat.origin,
          outcome instanceof BrokerError
            ? outcome
            : { ...outcome, duplicate: true },
        );
    }
    this.#settleFlushes();
  }

  #forget(lane: Lane<Origin>): void {
    // What expired while it waited is still in the queue, at its front.
    while (
      lane.waiting.length > 0 &&
      lane.waiting.at(lane.waiting.start).settled
    )
      lane.waiting.shift();
  }

  #settleFlushes(): void {
    if (this.#flushes.length === 0) return;
    const first = this.#unsettled.keys().next().value ?? Infinity;
    const done = this.#flushes.filter(({ upto }) => upto < first);
    this.#flushes = this.#flushes.filter(({ upto }) => upto >= first);
    for (const { resolve } of done) resolve();
  }
}

/** https://docs.nats.io/reference/reference-protocols/nats_api_reference: the answer to a publish. */
interface Ack {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: {
    readonly code: number;
    readonly err_code?: number;
    readonly description: string;
  };
}

function ackOf(message: WireMessage): Ack {
  return message.length === 0 && statusIn(message.headers) === 503
    ? NO_LEADER
    : (JSON.parse(message.body) as Ack);
}

const NO_LEADER: Ack = {
  error: { code: 503, description: "the stream has no leader" },
};

const unavailable = (message: string): BrokerError =>
  new BrokerError("unavailable", `not stored: ${message}`, RETRY_AFTER_MS);

const unknown = (message: string): BrokerError =>
  new BrokerError("outcome_unknown", message, RETRY_AFTER_MS);
