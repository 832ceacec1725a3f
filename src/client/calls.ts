import type { Answer } from "./connection.ts";
import { RoomcastError } from "./errors.ts";

/** Calls that wait or are under way, at most. */
const MAX_CALLS = 1000;

/** Asks, and asks again where the server refuses for now. `done` gets undefined where the connection ended. */
export type Request = (
  request: object,
  wanted: () => boolean,
  done: (answer: Answer) => void,
) => void;

interface Call {
  readonly request: object;
  readonly owner: object;
  readonly ready: () => boolean;
  readonly settle: (answer: Answer) => void;
  underWay: boolean;
}

/** Requests that outlive connections: each is sent when it is ready, and again after a loss. */
export class Calls {
  readonly #calls = new Set<Call>();
  readonly #timeoutMs: number;
  readonly #request: Request;

  constructor(timeoutMs: number, request: Request) {
    this.#timeoutMs = timeoutMs;
    this.#request = request;
  }

  /**
   * @param owner whose call it is
   * @param read makes the result of an answer, before the next frame is looked at
   * @throws RoomcastError (as a rejection) of the server, or `timeout`, `queue_full`
   */
  add<T>(
    owner: object,
    request: object,
    ready: () => boolean,
    read: (answer: Answer) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => call.settle(timedOut()), this.#timeoutMs);
      const call: Call = {
        request,
        owner,
        ready,
        settle: (answer) => {
          clearTimeout(timer);
          this.#calls.delete(call);
          if (answer instanceof RoomcastError) reject(answer);
          else resolve(read(answer));
        },
        underWay: false,
      };
      if (this.#calls.size >= MAX_CALLS)
        return call.settle(queueFull("requests"));
      this.#calls.add(call);
      this.run();
    });
  }

  /** Sends what is ready now. */
  run(): void {
    for (const call of this.#calls) {
      if (call.underWay || !call.ready()) continue;
      call.underWay = true;
      const wanted = (): boolean => this.#calls.has(call);
      this.#request(call.request, wanted, (answer) => {
        call.underWay = false;
        // Without an answer the connection is gone: the next one asks again.
        if (answer && wanted()) call.settle(answer);
      });
    }
  }

  /** @param owner whose; undefined for all */
  reject(owner: object | undefined, error: RoomcastError): void {
    for (const call of this.#calls)
      if (!owner || call.owner === owner) call.settle(error);
  }
}

export const timedOut = (): RoomcastError =>
  new RoomcastError("timeout", "no answer in time");

export const queueFull = (what: string): RoomcastError =>
  new RoomcastError("queue_full", `too many ${what} wait for answers`);
