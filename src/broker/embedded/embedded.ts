import type {
  Deletion,
  Deliver,
  Done,
  Draft,
  MainBroker,
  Page,
  Published,
  Range,
} from "../broker.ts";
import { BrokerError, deletionDraft } from "../broker.ts";
import { CommitStats } from "../../stats/commit-stats.ts";
import { Outage, type OutageListener } from "./outage.ts";
import { Pacer } from "./pacer.ts";
import { StoreError, type NewEvent, type Store } from "./store.ts";

export interface EmbeddedOptions extends Partial<OutageListener> {
  readonly commitPaceMs: number;
  readonly busyEventsPerMs: number;
  readonly maxUncommittedEvents: number;
  readonly maxUnmovedEvents: number;
}

/** A room with subscribers or with drafts that wait for a commit. */
interface RoomState {
  readonly name: string;
  head: number;
  subscribed: boolean;
  waiting: number;
}

interface Publish<Origin> {
  readonly draft: Draft;
  readonly origin: Origin;
  readonly done: Done<Origin>;
}

interface Waiting<Origin> extends Publish<Origin> {
  readonly room: RoomState;
  /** Seq of the message to delete; 0 where one is to be stored. */
  readonly target: number;
  /** Publishes of the same id while this one was in flight. Made when the first comes. */
  repeats: Publish<Origin>[] | undefined;
  readonly keyHash: number | undefined;
  /** Another one in flight whose key has the same hash. */
  readonly sameHash: Waiting<Origin> | undefined;
}

const RETRY_AFTER_MS = 500;

const overloaded = (message: string): BrokerError =>
  new BrokerError("overloaded", message, RETRY_AFTER_MS);

function withKey<Origin>(
  first: Waiting<Origin> | undefined,
  { room, user, id }: Draft,
): Waiting<Origin> | undefined {
  for (let w = first; w; w = w.sameHash)
    if (w.draft.id === id && w.draft.user === user && w.draft.room === room)
      return w;
  return undefined;
}

/**
 * What a store fails with, as gateways know it.
 * @throws anything else: it is a mistake in this program
 */
function toBrokerError(error: unknown): BrokerError {
  if (!(error instanceof StoreError)) throw error;
  return new BrokerError("unavailable", error.message, RETRY_AFTER_MS);
}

/**
 * The broker inside the server's process: sequences in memory, stores in groups, delivers after the commit.
 *
 * Positions are assigned in the commit itself, so that a batch that the store refuses leaves no trace.
 */
export class EmbeddedBroker<Origin> implements MainBroker<Origin> {
  readonly #rooms = new Map<string, RoomState>();
  readonly #pacer: Pacer;
  #waiting: Waiting<Origin>[] = [];
  /** What waits with an idempotency key, by its hash. */
  readonly #inFlight = new Map<number, Waiting<Origin>>();
  /** Deletions under way, by target and room. */
  readonly #deletions = new Map<string, Promise<Deletion>>();
  #flushes: (() => void)[] = [];
  readonly commits = new CommitStats();
  #held = false;
  #lastTs = 0;
  readonly #outage: Outage;

  constructor(
    private readonly store: Store,
    private readonly deliver: Deliver<Origin>,
    private readonly options: EmbeddedOptions,
  ) {
    this.#pacer = new Pacer(options.commitPaceMs, options.busyEventsPerMs);
    const { onOutage = () => {}, onRecovery = () => {} } = options;
    this.#outage = new Outage(
      () => {
        if (this.#held) return false;
        this.store.probe();
        return true;
      },
      { onOutage, onRecovery },
    );
  }

  get ready(): boolean {
    return !this.store.failing && !this.#outage.lasts;
  }

  get epoch(): string {
    return this.store.epoch;
  }

  publish(draft: Draft, origin: Origin, done: Done<Origin>): void {
    let settled: Published | BrokerError | undefined;
    try {
      settled = this.#publish(draft, origin, done);
    } catch (error) {
      settled = toBrokerError(error);
    }
    if (settled) done(draft, origin, settled);
  }

  repeat(draft: Draft, origin: Origin, done: Done<Origin>): boolean {
    if (draft.id === undefined) return false;
    const { room, user, id } = draft;
    const keyHash = this.store.hashKey(room, user, id);
    let stored: { readonly seq: number; readonly ts: number } | undefined;
    try {
      stored = this.store.find(keyHash, room, user, id, Date.now());
    } catch (error) {
      done(draft, origin, toBrokerError(error));
      return true;
    }
    if (stored) {
      done(draft, origin, { seq: stored.seq, ts: stored.ts, duplicate: true });
      return true;
    }
    const first = withKey(this.#inFlight.get(keyHash), draft);
    if (!first) return false;
    (first.repeats ??= []).push({ draft, origin, done });
    return true;
  }

  /**
   * @returns the outcome where it is known at once
   * @throws StoreError
   */
  #publish(
    draft: Draft,
    origin: Origin,
    done: Done<Origin>,
  ): Published | BrokerError | undefined {
    let keyHash: number | undefined;
    let sameHash: Waiting<Origin> | undefined;
    if (draft.id !== undefined) {
      const { room, user, id } = draft;
      keyHash = this.store.hashKey(room, user, id);
      const stored = this.store.find(keyHash, room, user, id, Date.now());
      if (stored) return { seq: stored.seq, ts: stored.ts, duplicate: true };
      sameHash = this.#inFlight.get(keyHash);
      const first = withKey(sameHash, draft);
      if (first) {
        (first.repeats ??= []).push({ draft, origin, done });
        return undefined;
      }
    }
    return this.#enqueue(draft, origin, done, keyHash, sameHash, 0);
  }

  /**
   * @returns why it cannot wait
   * @throws StoreError
   */
  #enqueue(
    draft: Draft,
    origin: Origin,
    done: Done<Origin>,
    keyHash: number | undefined,
    sameHash: Waiting<Origin> | undefined,
    target: number,
  ): BrokerError | undefined {
    if (this.#waiting.length >= this.options.maxUncommittedEvents)
      return overloaded("too many events wait for the store");
    if (this.store.backlog >= this.options.maxUnmovedEvents)
      return overloaded("the store cannot keep up");
    const room = this.#room(draft.room);
    room.waiting++;
    const waiting: Waiting<Origin> = {
      room,
      target,
      draft,
      origin,
      done,
      repeats: undefined,
      keyHash,
      sameHash,
    };
    if (keyHash !== undefined) this.#inFlight.set(keyHash, waiting);
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1 && !this.#held) this.#schedule();
    return undefined;
  }

  delete(room: string, target: number): Promise<Deletion> {
    const key = `${target} ${room}`;
    const underWay = this.#deletions.get(key);
    if (underWay) return underWay;
    const deletion = this.#delete(room, target).finally(() =>
      this.#deletions.delete(key),
    );
    this.#deletions.set(key, deletion);
    return deletion;
  }

  /** Nothing is awaited before it waits for the commit: two deletions of one message cannot both find it there. */
  async #delete(room: string, target: number): Promise<Deletion> {
    try {
      const {
        events: [event],
      } = this.store.read(room, {
        after: target - 1,
        upto: target,
        take: "oldest",
        limit: 1,
        bytes: 1,
      });
      if (event?.target === target) return "already";
      if (event?.target !== 0) return "missing";
      return await new Promise<Deletion>((resolve, reject) => {
        const refused = this.#enqueue(
          deletionDraft(room),
          // Of nobody's connection; it is only handed back.
          undefined as Origin,
          (_draft, _origin, outcome) => {
            if (outcome instanceof BrokerError) reject(outcome);
            else resolve("deleted");
          },
          undefined,
          undefined,
          target,
        );
        if (refused) reject(refused);
      });
    } catch (error) {
      throw error instanceof BrokerError ? error : toBrokerError(error);
    }
  }

  subscribe(name: string): Promise<number> {
    try {
      const room = this.#room(name);
      room.subscribed = true;
      return Promise.resolve(room.head);
    } catch (error) {
      return Promise.reject(toBrokerError(error));
    }
  }

  unsubscribe(name: string): void {
    const room = this.#rooms.get(name);
    if (!room) return;
    room.subscribed = false;
    this.#release(room);
  }

  /** What was committed was delivered. */
  reaches(name: string, seq: number): Promise<boolean> {
    try {
      const head = this.#rooms.get(name)?.head ?? this.store.head(name);
      return Promise.resolve(head >= seq);
    } catch (error) {
      return Promise.reject(toBrokerError(error));
    }
  }

  read(room: string, range: Range): Promise<Page> {
    try {
      return Promise.resolve(this.store.read(room, range));
    } catch (error) {
      return Promise.reject(toBrokerError(error));
    }
  }

  flush(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#flushes.push(resolve));
  }

  async close(): Promise<void> {
    this.resume();
    await this.flush();
    this.#outage.close();
    await this.store.close();
  }

  /**
   * Holds commits back, publishes go on waiting. The store asks for it when a checkpoint needs a moment without a
   * writer; `resume` must follow.
   */
  hold(): void {
    this.#held = true;
  }

  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    if (this.#waiting.length > 0) this.#schedule();
  }

  #room(name: string): RoomState {
    let room = this.#rooms.get(name);
    if (!room) {
      room = {
        name,
        head: this.store.head(name),
        subscribed: false,
        waiting: 0,
      };
      this.#rooms.set(name, room);
    }
    return room;
  }

  #release(room: RoomState): void {
    if (!room.subscribed && room.waiting === 0) this.#rooms.delete(room.name);
  }

  #schedule(): void {
    const wait = this.#pacer.wait(performance.now());
    // A microtask, while it is quiet: a turn of the event loop more costs as much as the commit itself.
    if (wait > 0) setTimeout(this.#commit, wait);
    else queueMicrotask(this.#commit);
  }

  readonly #commit = (): void => {
    if (this.#held || this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#inFlight.clear();
    // Retention relies on it: a clock that was set back must not make a later event the older one.
    const ts = (this.#lastTs = Math.max(this.#lastTs, Date.now()));
    const events = batch.map(({ room, draft, keyHash, target }): NewEvent => {
      const prev = room.head++;
      return {
        room: draft.room,
        seq: prev + 1,
        prev,
        user: draft.user,
        from: draft.from,
        text: draft.text,
        ts,
        id: draft.id,
        data: draft.data,
        dataBytes: draft.dataJson?.length ?? 0,
        target,
        dataJson: draft.dataJson,
        keyHash,
      };
    });
    const began = performance.now();
    try {
      this.store.append(events);
      this.#outage.taken();
    } catch (error) {
      this.#refuse(batch, error);
      this.#settleFlushes();
      return;
    }
    const now = performance.now();
    this.#pacer.committed(now, batch.length);
    this.commits.events.record(batch.length);
    this.commits.us.record((now - began) * 1000);
    for (let i = 0; i < batch.length; i++) {
      const waiting = batch[i]!;
      const { room, origin } = waiting;
      const event = events[i]!;
      room.waiting--;
      if (room.subscribed) this.deliver(event, origin);
      else this.#release(room);
      const { seq } = event;
      waiting.done(waiting.draft, origin, { seq, ts, duplicate: false });
      if (waiting.repeats)
        for (const repeat of waiting.repeats)
          repeat.done(repeat.draft, repeat.origin, {
            seq,
            ts,
            duplicate: true,
          });
    }
    this.#settleFlushes();
  };

  #refuse(batch: readonly Waiting<Origin>[], error: unknown): void {
    // Backwards, so that each room ends with the head it had before the batch.
    for (const waiting of batch.toReversed()) {
      waiting.room.head--;
      waiting.room.waiting--;
      this.#release(waiting.room);
    }
    // Anything but a refusal of the store is a mistake in this program: better to crash than to go on with wrong heads.
    if (!(error instanceof StoreError)) throw error;
    this.#outage.refused(error.message);
    const failure = new BrokerError(
      "unavailable",
      `not stored: ${error.message}`,
      RETRY_AFTER_MS,
    );
    for (const waiting of batch)
      for (const { draft, origin, done } of [
        waiting,
        ...(waiting.repeats ?? []),
      ])
        done(draft, origin, failure);
  }

  /** A commit takes all that waits, so that it settles every flush that was asked for before it. */
  #settleFlushes(): void {
    const flushes = this.#flushes;
    this.#flushes = [];
    for (const settle of flushes) settle();
  }
}
