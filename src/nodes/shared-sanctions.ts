import { LinkError } from "../broker/nats/link.ts";
import type { Sanction } from "../data/sanctions-file.ts";
import type { Reach } from "../gateway/orders.ts";
import {
  MAX_SANCTIONS,
  Sanctions,
  SanctionsFull,
  type SanctionKeeper,
} from "../gateway/sanctions.ts";
import type { Look } from "./commands.ts";
import {
  sanctionKey,
  unavailable,
  type LoggedSanction,
  type SanctionLog,
} from "./sanction-log.ts";

/** So late at most a node finds out by itself what it was not told. */
const LOOK_MS = 2000;
/** After so long a time without a read everything is read, as after a reconnect: who lifted what may be forgotten. */
const WHOLE_AFTER_MS = 300_000;
/** So long the stream tells of what was lifted or has ended. Longer than the above. */
const KEPT_MS = 600_000;
const SWEEP_MS = 60_000;
/** Of changes applied lately it is known whom they reached: the node that made them asks soon. */
const REACHED_KEPT = 1000;

interface Known {
  readonly seq: number;
  readonly sanction: Sanction;
  /** When it was found to have ended, of `performance.now()`: no clock of another machine counts. */
  readonly endedAt: number | undefined;
}

/** Bounds that tests make small. */
export interface SharedSanctionsTrial {
  readonly keptMs?: number;
  readonly max?: number;
}

/**
 * Sanctions of several nodes. The stream is the only truth: a sanction is written there, then every node is told to look,
 * and applies what it reads, in the stream's order. A node that was not told looks every two seconds; one that was away
 * reads everything. Without NATS all that was known goes on to hold.
 */
export class SharedSanctions implements SanctionKeeper {
  list = new Sanctions();
  #here: Reach | undefined;
  readonly #known = new Map<string, Known>();
  readonly #reached = new Map<number, number | Promise<number>>();
  /** The last seq that was read. */
  #seen = 0;
  /** Whether everything has to be read: what follows `#seen` may not be all that changed. */
  #whole = true;
  #reconnects = -1;
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failing = false;
  readonly #timers: Timer[] = [];

  /** @param all has all nodes, this one too, carry out a command; rejects where one did not say that it has */
  constructor(
    private readonly log: SanctionLog,
    private readonly all: (command: Look) => Promise<number>,
    private readonly tell: (message: string) => void,
    private readonly trial: SharedSanctionsTrial = {},
  ) {}

  /**
   * Reads what there is. Before `attach`.
   * @throws LinkError
   */
  load(): Promise<void> {
    return this.#catchUp();
  }

  /** Fills the list of whoever has the connections, and keeps it and them up to date from now on. */
  attach(list: Sanctions, here: Reach): this {
    this.list = list;
    this.#here = here;
    const now = Date.now();
    for (const { sanction } of this.#known.values())
      if (sanction.until > now) list.set(sanction);
    this.#timers.push(
      setInterval(() => void this.#lookAgain(), LOOK_MS).unref(),
      setInterval(() => void this.sweep(), SWEEP_MS).unref(),
    );
    return this;
  }

  async impose(sanction: Sanction): Promise<number> {
    const { max = MAX_SANCTIONS } = this.trial;
    if (this.#known.size >= max && !this.#known.has(sanctionKey(sanction)))
      throw new SanctionsFull();
    return this.all({ act: "look", seq: await this.log.write(sanction) });
  }

  async lift(what: Omit<Sanction, "until">): Promise<boolean> {
    try {
      await this.#catchUp();
    } catch (error) {
      if (error instanceof LinkError) throw unavailable(error.message);
      throw error;
    }
    const known = this.#known.get(sanctionKey(what));
    if (!known || known.sanction.until <= Date.now()) return false;
    const seq = await this.log.write({ ...what, until: 0 });
    await this.all({ act: "look", seq });
    return true;
  }

  /**
   * Reads what another node has written, this with it, and carries it out here.
   * @returns how many connections that was about
   * @throws LinkError (as a rejection)
   */
  async look(seq: number): Promise<number> {
    if (this.#seen < seq) await this.#catchUp();
    return (await this.#reached.get(seq)) ?? 0;
  }

  /** Forgets, here and in the stream, what has ended long enough ago for every node to know. */
  async sweep(): Promise<void> {
    const now = Date.now();
    this.list.sweep(now);
    const { keptMs = KEPT_MS } = this.trial;
    const old = performance.now() - keptMs;
    for (const [key, known] of this.#known) {
      const { seq, sanction, endedAt } = known;
      if (sanction.until > now) continue;
      if (endedAt === undefined)
        this.#known.set(key, { ...known, endedAt: performance.now() });
      else if (endedAt <= old)
        try {
          await this.log.remove(seq);
          if (this.#known.get(key)?.seq === seq) this.#known.delete(key);
        } catch {
          // NATS is not there: the next sweep does it.
          return;
        }
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #lookAgain(): Promise<void> {
    if (!this.log.up) return;
    try {
      await this.#catchUp();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        this.tell(
          `bans and mutes of other servers cannot be read for a while: ${(error as Error).message}`,
        );
      this.#failing = true;
    }
  }

  /** Resolves when everything is applied that was stored before the call. Calls during a read share the next one. */
  #catchUp(): Promise<void> {
    return (this.#next ??= this.#after(this.#reading));
  }

  async #after(reading: Promise<void> | undefined): Promise<void> {
    await reading?.catch(() => {});
    this.#next = undefined;
    this.#reading = this.#read();
    await this.#reading;
  }

  async #read(): Promise<void> {
    const { reconnects } = this.log;
    const now = performance.now();
    const whole =
      this.#whole ||
      reconnects !== this.#reconnects ||
      now - this.#readAt > WHOLE_AFTER_MS;
    // Unless this ends well.
    this.#whole = true;
    if (whole) await this.#readWhole();
    else
      for await (const entry of this.#following(this.#seen)) {
        this.#seen = entry.seq;
        this.#apply(entry);
      }
    this.#whole = false;
    this.#reconnects = reconnects;
    this.#readAt = now;
  }

  async #readWhole(): Promise<void> {
    const found = new Map<string, LoggedSanction>();
    let seen = 0;
    const take = (entry: LoggedSanction): void => {
      seen = entry.seq;
      if (entry.sanction) found.set(sanctionKey(entry.sanction), entry);
    };
    for (const entry of await this.log.some()) take(entry);
    for await (const entry of this.#following(seen)) take(entry);
    // Only now: a replica's past must not hold for a moment.
    this.#seen = seen;
    for (const [key, entry] of found)
      if (this.#known.get(key)?.seq !== entry.seq) this.#apply(entry);
    for (const [key, { seq, sanction }] of this.#known) {
      if (found.has(key)) continue;
      this.#apply({ seq, sanction: { ...sanction, until: 0 } });
      this.#known.delete(key);
    }
  }

  async *#following(position: number): AsyncGenerator<LoggedSanction> {
    for (;;) {
      const entry = await this.log.after(position);
      if (!entry) return;
      position = entry.seq;
      yield entry;
    }
  }

  #apply({ seq, sanction }: LoggedSanction): void {
    if (!sanction) return;
    const key = sanctionKey(sanction);
    const ended = sanction.until <= Date.now();
    const before = this.#known.has(key);
    const endedAt = ended ? performance.now() : undefined;
    this.#known.set(key, { seq, sanction, endedAt });
    if (!this.#here || (ended && !before)) return;
    if (ended) this.list.lift(sanction);
    else this.list.set(sanction);
    const order = ended ? { ...sanction, until: 0 } : sanction;
    this.#reached.set(seq, this.#here.carryOut({ act: "sanction", ...order }));
    if (this.#reached.size > REACHED_KEPT)
      this.#reached.delete(this.#reached.keys().next().value!);
  }
}
