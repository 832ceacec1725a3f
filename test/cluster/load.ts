import { expect } from "bun:test";
import { Client, type Message } from "../support/client.ts";
import { Follower } from "../support/follower.ts";
import { Participant } from "../support/participant.ts";
import { Proxy } from "../support/proxy.ts";
import type { Random } from "../support/random.ts";
import type { Cluster } from "./cluster.ts";

const ROOMS = ["red", "green", "blue room", "yellow"];
const FOLLOWERS = 7;
const PARTICIPANTS = 5;
/** Sends of a client that are not acked. */
const WINDOW = 6;
/** Between a client's bursts: what the clients of one process can check, not what a server carries. */
const MAX_PAUSE_MS = 60;
/** Whoever waits longer waits for ever. NATS takes up to 9 s to choose a leader, and clients wait between tries. */
const PATIENCE_MS = 45_000;

/** A client that talks: what load and checks need of it. */
interface Talker {
  readonly name: string;
  /** Messages that were acked so far. */
  readonly count: () => number;
  readonly until: (reached: () => boolean) => Promise<void>;
  /** What it was told that it must not be told. */
  readonly wrongs: () => readonly string[];
  /** Seq by idempotency key, of a room. */
  readonly acked: (room: string) => ReadonlyMap<string, number>;
  readonly position: (room: string) => number;
  /** What it holds of a room, and from which position on. */
  readonly log: (room: string) => {
    readonly from: number;
    readonly events: readonly { readonly seq: number; readonly text: string }[];
  };
  /** One burst, and perhaps an accident of its own. */
  readonly act: () => Promise<void>;
  /** Comes back, and resolves when all it sent is acked and it is in all rooms. */
  readonly settle: () => Promise<void>;
  readonly state: () => string;
}

/**
 * Seeded random load from clients at both gateways, who come back at either. Half of them are strict about each frame, half
 * are programs with the SDK.
 */
export class Load implements AsyncDisposable {
  readonly #followers: Follower[];
  readonly #participants: Participant[] = [];
  #talkers: Talker[] = [];
  /** What was done to the cluster, for whoever looks for the cause of a failure. */
  readonly happened: string[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #stopping = false;

  private constructor(
    private readonly cluster: Cluster,
    private readonly random: Random,
  ) {
    this.#followers = Array.from(
      { length: FOLLOWERS },
      (_, i) =>
        new Follower(
          `f${i}`,
          i % 2 ? "json" : "msgpack",
          () => cluster.aServer(random).url,
          true,
        ),
    );
  }

  static async start(cluster: Cluster, random: Random): Promise<Load> {
    const load = new Load(cluster, random);
    await load.#start();
    return load;
  }

  /** Errors that clients met and healed by themselves. */
  get refusals(): number {
    return this.#followers.reduce((sum, { refusals }) => sum + refusals, 0);
  }

  get resumes(): number {
    return (
      this.#followers.reduce((sum, { resumes }) => sum + resumes, 0) +
      this.#participants.reduce((sum, { joins }) => sum + joins, 0)
    );
  }

  /** Resolves when every client has so many more acks: nobody is forgotten. */
  async progress(acks: number): Promise<void> {
    await this.#all(`${acks} more acks`, (talker) => {
      const goal = talker.count() + acks;
      return talker.until(() => talker.count() >= goal);
    });
  }

  /** Resolves at a random moment: after some more acks. */
  async aWhile(): Promise<void> {
    await this.progress(1 + this.random.below(10));
  }

  /** Ends the load, waits until everybody has everything, and checks what they hold. */
  async finish(): Promise<void> {
    this.#stopping = true;
    await within(this.#running, () => "clients do not end their bursts");
    await this.#all("all acks", (talker) => talker.settle());
    const context = `seed ${this.random.seed}`;
    for (const room of ROOMS) await this.#check(room, context);
    const wrongs = this.#talkers.flatMap((talker) => talker.wrongs());
    expect(wrongs, context).toEqual([]);
  }

  async #start(): Promise<void> {
    const { cluster, random } = this;
    using client = await Client.connect(cluster.aServer(random).url);
    const { epoch } = await client.join(ROOMS[0]!);
    for (const follower of this.#followers) {
      expect(await follower.connect()).toBe(true);
      for (const room of ROOMS) follower.join(room, random.chance(0.6));
    }
    for (let i = 0; i < PARTICIPANTS; i++) {
      const one = new Participant(
        `p${i}`,
        await Proxy.start(() => cluster.aServer(random).port),
        random.chance(0.6),
        i % 2 ? "json" : "msgpack",
        5000,
      );
      this.#participants.push(one);
      for (const room of ROOMS) await one.join(room, { epoch, seq: 0 });
    }
    this.#talkers = [
      ...this.#followers.map((follower) => this.#follows(follower)),
      ...this.#participants.map((one) => this.#participates(one)),
    ];
    this.#running = Promise.all(
      this.#talkers.map(async (talker) => {
        while (!this.#stopping) {
          await talker.act();
          await Bun.sleep(random.below(MAX_PAUSE_MS));
        }
      }),
    );
    // Its failure is seen where it is awaited.
    this.#running.catch(() => {});
  }

  #follows(follower: Follower): Talker {
    const { random } = this;
    const inside = (): boolean =>
      [...follower.rooms.values()].every(({ state }) => state === "in");
    const comeBack = async (): Promise<void> => {
      // A gateway that was just killed, or drains: the next try may be at the other one.
      while (!follower.connected)
        if (!(await follower.connect())) await Bun.sleep(20);
    };
    return {
      name: follower.name,
      count: () => follower.acked.size,
      until: (reached) => follower.until(reached),
      wrongs: () => follower.violations,
      acked: (room) => ofRoom(follower.acked, follower.rooms.get(room)!.sent),
      position: (room) => follower.rooms.get(room)!.position ?? 0,
      log: (room) => {
        const { start, log } = follower.rooms.get(room)!;
        return { from: start, events: log };
      },
      act: async () => {
        await comeBack();
        for (let n = random.below(4); n >= 0; n--)
          follower.say(random.pick(ROOMS));
        await follower.until(
          () => !follower.connected || follower.unacked.length < WINDOW,
        );
        if (random.chance(0.02)) follower.drop();
        else if (random.chance(0.02)) follower.rejoin(random.pick(ROOMS));
      },
      settle: async () => {
        while (!inside() || follower.unacked.length > 0) {
          await comeBack();
          await follower.until(
            () =>
              !follower.connected ||
              (inside() && follower.unacked.length === 0),
          );
        }
      },
      state: () =>
        `${follower.connected ? "connected" : "not connected"}, ${follower.unacked.length} unacked, ${[
          ...follower.rooms.values(),
        ]
          .map(({ name, state, position }) => `${name} ${state} ${position}`)
          .join(", ")}`,
    };
  }

  #participates(one: Participant): Talker {
    const { random } = this;
    const joined = (room: string): boolean =>
      one.client.rooms.get(room)?.state === "joined";
    return {
      name: one.name,
      count: () => one.acked.length,
      until: (reached) => one.until(reached),
      wrongs: () => one.wrong.map((wrong) => `${one.name}: ${wrong}`),
      acked: (room) =>
        new Map(
          one.acked.filter((a) => a.room === room).map((a) => [a.id, a.seq]),
        ),
      position: (room) => one.client.rooms.get(room)!.position!.seq,
      log: (room) => {
        // Acks resolve a turn after their place among the events: those of `echo: false` are sorted in.
        const events = one.logs.get(room)!;
        if (!one.echo) events.sort((a, b) => a.seq - b.seq);
        return { from: 0, events };
      },
      act: async () => {
        for (let n = random.below(4); n >= 0; n--)
          one.say(one.client.rooms.get(random.pick(ROOMS))!);
        await one.until(() => one.pending.size < WINDOW);
        if (random.chance(0.02)) one.proxy.cut();
      },
      settle: () =>
        one.until(() => one.pending.size === 0 && ROOMS.every(joined)),
      state: () =>
        `${one.client.state}, ${one.pending.size} unacked, ${ROOMS.map(
          (room) => `${room} ${one.client.rooms.get(room)?.state}`,
        ).join(", ")}`,
    };
  }

  async #all(
    what: string,
    wait: (talker: Talker) => Promise<void>,
  ): Promise<void> {
    const waiting = new Set(this.#talkers);
    const all = Promise.all(
      this.#talkers.map(async (talker) => {
        await wait(talker);
        waiting.delete(talker);
      }),
    );
    try {
      await within(all, () => `for ${what}`);
    } catch (error) {
      const who = [...waiting].map(({ name, state }) => `${name}: ${state()}`);
      const after = `after ${this.happened.join("; ")}`;
      const lines = [after, ...who, await this.cluster.describe()];
      throw new Error(
        `seed ${this.random.seed}: ${(error as Error).message}\n${lines.join("\n")}`,
      );
    }
  }

  /** What was acked is in history once, nothing else is, and everybody holds that history in its order. */
  async #check(room: string, context: string): Promise<void> {
    // All that was sent is acked: the highest ack, or event, is the room's head.
    const head = Math.max(
      ...this.#talkers.map((talker) =>
        Math.max(talker.position(room), ...talker.acked(room).values()),
      ),
    );
    await this.#all(`${room} ${head}`, (talker) =>
      talker.until(() => talker.position(room) >= head),
    );
    const [history, other] = await Promise.all(
      this.cluster.nodes.map(({ server }) =>
        within(
          historyOf(server.url, room, head),
          () => `${context}: history of ${room} cannot be read`,
        ),
      ),
    );
    const plain = history!.map(({ seq, text }) => ({ seq, text }));
    expect(
      other!.map(({ seq, text }) => ({ seq, text })),
      `${context}: ${room} at both gateways`,
    ).toEqual(plain);
    expect(plain.at(-1)?.seq, context).toBe(head);
    const seqs = new Map(history!.map(({ id, seq }) => [id, seq]));
    expect(seqs.size, `${context}: ${room} holds a message twice`).toBe(
      plain.length,
    );
    let acked = 0;
    for (const talker of this.#talkers) {
      const own = talker.acked(room);
      acked += own.size;
      for (const [id, seq] of own)
        expect(seqs.get(id), `${context}: ${id} in ${room}`).toBe(seq);
      const { from, events } = talker.log(room);
      expect(events, `${context}: ${talker.name} in ${room}`).toEqual(
        plain.filter(({ seq }) => seq > from),
      );
    }
    expect(plain.length, `${context}: ${room} holds what was acked`).toBe(
      acked,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    for (const follower of this.#followers) follower.drop();
    for (const one of this.#participants) {
      await one.client.close();
      await one.proxy[Symbol.asyncDispose]();
    }
  }
}

function ofRoom(
  acked: ReadonlyMap<string, number>,
  sent: ReadonlySet<string>,
): ReadonlyMap<string, number> {
  return new Map([...acked].filter(([id]) => sent.has(id)));
}

/** @throws Error (as a rejection) it takes longer than anything may */
export async function within<T>(
  promise: Promise<T>,
  what: () => string,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`nobody may wait for ever: ${what()}`)),
    PATIENCE_MS,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A room's whole history, as one gateway tells it once it is at `head`. */
async function historyOf(
  url: string,
  room: string,
  head: number,
): Promise<Message[]> {
  using client = await Client.connect(url);
  // A cluster may still be choosing a leader: what it cannot answer is asked again.
  const ask = async (request: Message): Promise<Message> => {
    for (;;) {
      const answer = await client.request(request);
      if (answer.action !== "error") return answer;
      expect(answer.code).toBe("unavailable");
      await Bun.sleep(answer.retry_after_ms);
    }
  };
  const joined = await ask({ action: "join_room", room });
  if (joined.seq < head)
    await client.next((m) => m.room === room && m.seq >= head);
  const events: Message[] = [];
  for (;;) {
    const after = events.at(-1)?.seq ?? 0;
    const page = await ask({ action: "get_history", room, after });
    events.push(...page.messages);
    if (!page.more) return events;
    expect(page.messages.length).toBeGreaterThan(0);
  }
}
