import { expect } from "bun:test";
import {
  BrokerError,
  type Published,
  type RoomEvent,
} from "../../../src/broker/broker.ts";
import type { Random } from "../../support/random.ts";
import { draft } from "../contract.ts";
import type { NatsBrokerUnderTest } from "./support.ts";

const WINDOW = 8;

/** A sender to one room over one broker: keeps several messages under way, and sends again what was not acknowledged. */
export class Sender {
  readonly acked = new Map<string, number>();
  /** Texts that the broker took at the first try, in the order in which they were given to it. */
  readonly atOnce: string[] = [];
  #sent = 0;
  #underWay = 0;
  #stopped = false;
  #changed = (): void => {};

  constructor(
    private readonly under: NatsBrokerUnderTest,
    readonly room: string,
    private readonly name: string,
  ) {}

  start(): void {
    this.#fill();
  }

  /** Stops, and resolves when everything sent is acknowledged. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#until(() => this.#underWay === 0);
  }

  /** Resolves after that many more acknowledgements. */
  async more(count: number): Promise<void> {
    const goal = this.acked.size + count;
    await this.#until(() => this.acked.size >= goal);
  }

  #until(reached: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#changed;
      this.#changed = () => {
        before();
        if (reached()) resolve();
      };
      this.#changed();
    });
  }

  #fill(): void {
    while (!this.#stopped && this.#underWay < WINDOW) {
      this.#underWay++;
      this.#send(`${this.name}-${++this.#sent}`, true);
    }
  }

  #send(id: string, first: boolean): void {
    this.under.broker.publish(
      draft(this.room, id, { id, user: this.name }),
      "",
      (_draft, _origin, outcome) => {
        if (outcome instanceof BrokerError) {
          // As clients do.
          setTimeout(() => this.#send(id, false), 100);
        } else this.#ack(id, outcome, first);
      },
    );
  }

  #ack(id: string, outcome: Published, first: boolean): void {
    if (first && !outcome.duplicate) this.atOnce.push(id);
    this.acked.set(id, outcome.seq);
    this.#underWay--;
    // Not within the broker's call, and not endlessly in one turn.
    setImmediate(() => this.#fill());
    this.#changed();
  }
}

/**
 * Sends to all rooms over all brokers while `fault` happens. Afterwards: what was acknowledged is in history once; all
 * brokers delivered that history, in its order; nobody waits.
 */
export async function underLoad(
  unders: readonly NatsBrokerUnderTest[],
  rooms: readonly string[],
  random: Random,
  fault: () => Promise<void>,
): Promise<void> {
  for (const { broker } of unders)
    for (const room of rooms) await broker.subscribe(room);
  const senders = unders.flatMap((under, i) =>
    rooms.map((room) => new Sender(under, room, `s${i}${room}`)),
  );
  for (const sender of senders) sender.start();
  await random.pick(senders).more(20 + random.below(200));
  await fault();
  await Promise.all(senders.map((sender) => sender.more(20)));
  await Promise.all(senders.map((sender) => sender.stop()));

  const context = `seed ${random.seed}`;
  for (const room of rooms) {
    const history = await wholeHistory(unders[0]!, room);
    const texts = history.map(({ text }) => text);
    expect(new Set(texts).size, `${context}: no double`).toBe(texts.length);
    const seqs = new Map(history.map(({ text, seq }) => [text, seq]));
    for (const sender of senders.filter((s) => s.room === room)) {
      for (const [id, seq] of sender.acked)
        expect(seqs.get(id), `${context}: ${id} in ${room}`).toBe(seq);
      const order = sender.atOnce
        .map((id) => Number(id.split("-")[1]))
        .toSorted((a, b) => a - b)
        .map((n) => seqs.get(`${sender.atOnce[0]!.split("-")[0]}-${n}`)!);
      expect(order, `${context}: order of a sender's`).toEqual(
        order.toSorted((a, b) => a - b),
      );
    }
    for (const under of unders) {
      const last = history.at(-1)!.seq;
      const of = (): RoomEvent[] =>
        under.delivered.map((d) => d.event).filter((e) => e.room === room);
      await under.until(() => (of().at(-1)?.seq ?? 0) >= last);
      expect(
        of().map(({ seq, text }) => `${seq} ${text}`),
        `${context}: delivered in ${room}`,
      ).toEqual(history.map(({ seq, text }) => `${seq} ${text}`));
      let position = 0;
      for (const { seq, prev } of of()) {
        expect(prev, context).toBeLessThanOrEqual(position);
        position = seq;
      }
    }
  }
}

export async function wholeHistory(
  { broker }: NatsBrokerUnderTest,
  room: string,
): Promise<RoomEvent[]> {
  const all: RoomEvent[] = [];
  for (;;) {
    const page = await broker
      .read(room, {
        after: all.at(-1)?.seq ?? 0,
        upto: Number.MAX_SAFE_INTEGER,
        take: "oldest",
        limit: 500,
        bytes: 1e9,
      })
      .catch((error: unknown) => {
        if (error instanceof BrokerError) return undefined;
        throw error;
      });
    if (!page) {
      // A cluster may still be choosing its leader. A client would ask again, too.
      await Bun.sleep(100);
      continue;
    }
    const { events, more } = page;
    all.push(...events);
    if (!more) return all;
  }
}
