import { Deque } from "../collections/deque.ts";
import type { Line } from "./line.ts";
import type { Roster } from "./roster.ts";
import type { Teller } from "./teller.ts";
import {
  listed,
  pieces,
  sizeOfUser,
  type Answer,
  type Ask,
  type Listed,
  type State,
} from "./wire.ts";

/** Questions that wait, at most; who gets no answer asks again. */
const MAX_WAITING = 1000;
/** Bytes given to NATS before it is awaited to have taken them. */
const WINDOW_BYTES = 1024 * 1024;

interface Found {
  readonly index: number;
  readonly version: number;
  readonly users: readonly Listed[] | undefined;
}

/**
 * Answers who is here, one question after the other and no faster than NATS takes it: after a restart of NATS all nodes
 * ask for everything.
 */
export class Answers {
  readonly #waiting = new Deque<{ subject: string; ask: Ask }>();
  #busy = false;

  constructor(
    private readonly line: Line,
    private readonly teller: Teller,
    /** A scope's users here, all told; undefined where there is nobody. */
    private readonly told: (scope: string) => Roster | undefined,
  ) {}

  /**
   * @param subject where the asker listens
   * @throws Error what is asked for is no list of scopes
   */
  add(subject: string, ask: Ask): void {
    if (!ask.scopes.every(Array.isArray)) throw new Error("no scopes");
    if (this.#waiting.length === MAX_WAITING) return;
    this.#waiting.push({ subject, ask });
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    let bytes = 0;
    for (;;) {
      const next = this.#waiting.shift();
      if (!next) break;
      let piece = 0;
      // All at one moment: a piece may leave later than another.
      const states = this.#states(this.#find(next.ask));
      const upto = this.teller.version;
      for (;;) {
        const { value, done } = states.next();
        const answer: Answer = {
          answer: next.ask.ask,
          piece: piece++,
          last: done === true,
          upto,
          states: value ?? [],
        };
        const body = JSON.stringify(answer);
        this.line.sendText(next.subject, body);
        bytes += body.length;
        if (bytes >= WINDOW_BYTES) {
          bytes = 0;
          await this.line.flush();
        }
        if (done) break;
      }
    }
    this.#busy = false;
  }

  #find({ scopes }: Ask): Found[] {
    return scopes.flatMap(([scope, held], index) => {
      const roster = this.told(scope);
      if (!roster) return [];
      const { version } = roster;
      const users =
        version === held ? undefined : Array.from(roster.users(), listed);
      return [{ index, version, users }];
    });
  }

  /** States in pieces that fit into messages; returns the last one. */
  *#states(found: readonly Found[]): Generator<State[], State[]> {
    const budget = this.line.budget;
    let states: State[] = [];
    let size = 0;
    for (const { index, version, users } of found)
      for (const piece of users ? pieces(users, sizeOf, budget) : [users]) {
        const state: State = piece ? [index, version, piece] : [index, version];
        states.push(state);
        size += 32;
        for (const user of piece ?? []) size += sizeOf(user);
        if (size < budget) continue;
        yield states;
        states = [];
        size = 0;
      }
    return states;
  }
}

const sizeOf = ([id, name]: Listed): number => sizeOfUser({ id, name });
