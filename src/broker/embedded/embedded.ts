import type {
  Broker,
  Deliver,
  Draft,
  Page,
  Published,
  Range,
} from "../broker.ts";
import { BrokerError } from "../broker.ts";
import { Pacer } from "./pacer.ts";
import { StoreError, type NewEvent, type Store } from "./store.ts";

export interface EmbeddedOptions {
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

interface Waiting<Origin> {
  readonly room: RoomState;
  readonly draft: Draft;
  readonly origin: Origin;
  readonly resolve: (published: Published) => void;
  readonly reject: (error: BrokerError) => void;
  /** Senders of the same id while this one was in flight. Made when the first comes. */
  repeats:
    | { resolve: (p: Published) => void; reject: (e: BrokerError) => void }[]
    | undefined;
  readonly keyHash: number | undefined;
  /** Another one in flight whose key has the same hash. */
  readonly sameHash: Waiting<Origin> | undefined;
}

const RETRY_AFTER_MS = 500;

function withKey<Origin>(
  first: Waiting<Origin> | undefined,
  { room, user, id }: Draft,
): Waiting<Origin> | undefined {
  for (let w = first; w; w = w.sameHash)
    if (w.draft.id === id && w.draft.user === user && w.draft.room === room)
      return w;
  return undefined;
}

/** What a store fails with, as gateways know it; anything else is a mistake in this program and stays what it is. */
function toBrokerError(error: unknown): unknown {
  return error instanceof StoreError
    ? new BrokerError("unavailable", error.message, RETRY_AFTER_MS)
    : error;
}

/**
 * The broker inside the server's process: sequences in memory, stores in groups, delivers after the commit.
 *
 * Positions are assigned in the commit itself, so that a batch that the store refuses leaves no trace.
 */
export class EmbeddedBroker<Origin> implements Broker<Origin> {
  readonly #rooms = new Map<string, RoomState>();
  readonly #pacer: Pacer;
  #waiting: Waiting<Origin>[] = [];
  /** What waits with an idempotency key, by its hash. */
  readonly #inFlight = new Map<number, Waiting<Origin>>();
  #flushes: (() => void)[] = [];
  #held = false;
  #lastTs = 0;

  constructor(
    private readonly store: Store,
    private readonly deliver: Deliver<Origin>,
    private readonly options: EmbeddedOptions,
  ) {
    this.#pacer = new Pacer(options.commitPaceMs, options.busyEventsPerMs);
  }

  get epoch(): string {
    return this.store.epoch;
  }

  publish(draft: Draft, origin: Origin): Promise<Published> {
    try {
      return this.#publish(draft, origin);
    } catch (error) {
      return Promise.reject(toBrokerError(error));
    }
  }

  /** @throws BrokerError, StoreError */
  #publish(draft: Draft, origin: Origin): Promise<Published> {
    let keyHash: number | undefined;
    let sameHash: Waiting<Origin> | undefined;
    if (draft.id !== undefined) {
      const { room, user, id } = draft;
      keyHash = this.store.hashKey(room, user, id);
      const stored = this.store.find(keyHash, room, user, id, Date.now());
      if (stored)
        return Promise.resolve({
          seq: stored.seq,
          ts: stored.ts,
          duplicate: true,
        });
      sameHash = this.#inFlight.get(keyHash);
      const first = withKey(sameHash, draft);
      if (first)
        return new Promise((resolve, reject) => {
          (first.repeats ??= []).push({ resolve, reject });
        });
    }
    if (this.#waiting.length >= this.options.maxUncommittedEvents)
      throw new BrokerError(
        "overloaded",
        "too many events wait for the store",
        RETRY_AFTER_MS,
      );
    if (this.store.backlog >= this.options.maxUnmovedEvents)
      throw new BrokerError(
        "overloaded",
        "the store cannot keep up",
        RETRY_AFTER_MS,
      );
    const room = this.#room(draft.room);
    room.waiting++;
    return new Promise((resolve, reject) => {
      const waiting: Waiting<Origin> = {
        room,
        draft,
        origin,
        resolve,
        reject,
        repeats: undefined,
        keyHash,
        sameHash,
      };
      if (keyHash !== undefined) this.#inFlight.set(keyHash, waiting);
      this.#waiting.push(waiting);
      if (this.#waiting.length === 1 && !this.#held) this.#schedule();
    });
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
    const events = batch.map(({ room, draft, keyHash }): NewEvent => {
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
        dataJson: draft.dataJson,
        keyHash,
      };
    });
    try {
      this.store.append(events);
    } catch (error) {
      this.#refuse(batch, error);
      this.#settleFlushes();
      return;
    }
    this.#pacer.committed(performance.now(), batch.length);
    for (let i = 0; i < batch.length; i++) {
      const { room, origin } = batch[i]!;
      room.waiting--;
      if (room.subscribed) this.deliver(events[i]!, origin);
      else this.#release(room);
    }
    for (let i = 0; i < batch.length; i++) {
      const { resolve, repeats } = batch[i]!;
      const { seq } = events[i]!;
      resolve({ seq, ts, duplicate: false });
      if (repeats)
        for (const repeat of repeats)
          repeat.resolve({ seq, ts, duplicate: true });
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
    const failure = new BrokerError(
      "unavailable",
      `not stored: ${error.message}`,
      RETRY_AFTER_MS,
    );
    for (const { reject, repeats } of batch) {
      reject(failure);
      if (repeats) for (const repeat of repeats) repeat.reject(failure);
    }
  }

  /** A commit takes all that waits, so that it settles every flush that was asked for before it. */
  #settleFlushes(): void {
    const flushes = this.#flushes;
    this.#flushes = [];
    for (const settle of flushes) settle();
  }
}
