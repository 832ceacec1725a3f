import type { Part } from "./wire.ts";

/** What is under way in one direction at most, about: more is not sent, or refused. */
export const CHANNEL_BYTES = 8 * 1024 * 1024;

/** Part of what may be under way that may stay unacknowledged: an acknowledgement of its own costs a wake-up. */
const UNSAID_SHARE = 1 / 8;
/** Acknowledged bytes, and the batch's own. */
const HEAD_PARTS = 2;
const PART_BYTES = 8;
/** A call's name and how many parts it has are one part: each costs. */
const MAX_PARTS = 16;

type Operations<Calls> = readonly (keyof Calls & string)[];
type Arguments<Call> = Call extends (...args: infer A) => void ? A : never;

export interface ChannelOptions<Out, In> {
  /** @param calls how many there are in the batch */
  readonly post: (batch: Part[], calls: number) => void;
  readonly out: Operations<Out>;
  readonly in: Operations<In>;
  readonly handlers: In;
  /** Runs a function once what goes together has been said: the end of this turn, or of this task. */
  readonly later: (flush: () => void) => void;
  /** Called when the other end has taken something. */
  readonly acknowledged?: () => void;
  /** What may be under way from here, and from the other end, whose bound must be the same there. */
  readonly maxBytes?: number;
  readonly peerMaxBytes?: number;
}

/**
 * One end of the ordered channel between the hub and a gateway thread. Calls that are made together cross together, in
 * one message. Each end knows how many bytes the other one has not yet taken: `full` is for the caller to heed, since only
 * it knows what can be left out.
 */
export class Channel<Out, In> {
  #batch: Part[] = [0, 0];
  #bytes = 0;
  #calls = 0;
  #scheduled = false;
  #unacknowledged = 0;
  /** Taken from the other end, which does not know it yet. */
  #received = 0;
  #closed = false;
  readonly #numbers: ReadonlyMap<keyof Out, number>;
  readonly #maxBytes: number;
  readonly #unsaidBytes: number;

  constructor(private readonly options: ChannelOptions<Out, In>) {
    this.#numbers = new Map(options.out.map((name, number) => [name, number]));
    this.#maxBytes = options.maxBytes ?? CHANNEL_BYTES;
    this.#unsaidBytes = (options.peerMaxBytes ?? CHANNEL_BYTES) * UNSAID_SHARE;
  }

  /** Bytes that the other end has not taken, about. */
  get pendingBytes(): number {
    return this.#unacknowledged + this.#bytes;
  }

  get full(): boolean {
    return this.pendingBytes >= this.#maxBytes;
  }

  /** Whether there is room for more than a little. */
  get relieved(): boolean {
    return this.pendingBytes < this.#maxBytes / 2;
  }

  send<Name extends keyof Out>(
    name: Name,
    ...parts: Arguments<Out[Name]> & readonly Part[]
  ): void {
    if (this.#closed) return;
    const batch = this.#batch;
    batch.push(this.#numbers.get(name)! * MAX_PARTS + parts.length);
    let bytes = (parts.length + 1) * PART_BYTES;
    for (const part of parts) {
      batch.push(part);
      if (typeof part === "string" || part instanceof Uint8Array)
        bytes += part.length;
    }
    this.#bytes += bytes;
    this.#calls++;
    this.#schedule();
  }

  receive(batch: Part[]): void {
    this.#unacknowledged -= batch[0] as number;
    const { in: names, handlers, acknowledged } = this.options;
    for (let at = HEAD_PARTS; at < batch.length;) {
      const head = batch[at] as number;
      const name = names[Math.trunc(head / MAX_PARTS)]!;
      const start = at + 1;
      at = start + (head % MAX_PARTS);
      (handlers[name] as (...parts: Part[]) => void)(...batch.slice(start, at));
    }
    this.#received += batch[1] as number;
    if (this.#received >= this.#unsaidBytes) this.#schedule();
    if (batch[0] !== 0) acknowledged?.();
  }

  /** What is sent from now on goes nowhere: the other end is gone. */
  close(): void {
    this.#closed = true;
    this.#batch = [0, 0];
  }

  /** Sends at once what waits for the end of the turn. */
  readonly flush = (): void => {
    this.#scheduled = false;
    if (this.#closed) return;
    const batch = this.#batch;
    if (batch.length === HEAD_PARTS && this.#received === 0) return;
    batch[0] = this.#received;
    batch[1] = this.#bytes;
    this.#received = 0;
    this.#unacknowledged += this.#bytes;
    this.#bytes = 0;
    this.#batch = [0, 0];
    const calls = this.#calls;
    this.#calls = 0;
    this.options.post(batch, calls);
  };

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.options.later(this.flush);
  }
}
