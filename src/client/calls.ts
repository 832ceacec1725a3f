import type { Answer, Connection } from "./connection.ts";
import { RoomcastError } from "./errors.ts";

/** Calls of one owner that wait or are under way, at most. */
const MAX_CALLS = 1000;
/** Of them under way: a thousand at once would be refused again and again, until the server ends the connection. */
const MAX_UNDER_WAY = 8;

interface Call {
  readonly request: object;
  readonly settle: (answer: Answer, sentAt?: number) => void;
  underWay: boolean;
}

/** Requests that outlive connections: each is sent when there is one, and again after a loss. */
export class Calls {
  readonly #calls = new Set<Call>();
  readonly #timeoutMs: number;
  #underWay = 0;
  #connection: Connection | undefined;

  /** @param timeoutMs from a call to its answer, times without a connection included */
  constructor(timeoutMs = 60_000) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param read makes the result of an answer, before the next frame is looked at
   * @throws RoomcastError (as a rejection) of the server, or `timeout`, `queue_full`
   */
  add<T>(
    request: object,
    read: (answer: Answer, sentAt: number) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => call.settle(timedOut()), this.#timeoutMs);
      const call: Call = {
        request,
        settle: (answer, sentAt) => {
          clearTimeout(timer);
          this.#calls.delete(call);
          if (answer instanceof RoomcastError) reject(answer);
          else resolve(read(answer, sentAt!));
        },
        underWay: false,
      };
      if (this.#calls.size >= MAX_CALLS)
        return call.settle(queueFull("requests"));
      this.#calls.add(call);
      this.#run();
    });
  }

  /** From now on they go out. */
  start(connection: Connection): void {
    this.#connection = connection;
    this.#run();
  }

  /** No more go out; answers may still come. */
  pause(): void {
    this.#connection = undefined;
  }

  end(error: RoomcastError): void {
    for (const call of this.#calls) call.settle(error);
  }

  #run(): void {
    for (const call of this.#calls) {
      const connection = this.#connection;
      if (!connection?.ready || this.#underWay >= MAX_UNDER_WAY) return;
      if (call.underWay) continue;
      call.underWay = true;
      this.#underWay++;
      const wanted = (): boolean => this.#calls.has(call);
      const sentAt = performance.now();
      connection.request(call.request, wanted, (answer) => {
        call.underWay = false;
        this.#underWay--;
        if (answer && wanted()) call.settle(answer, sentAt);
        // Without an answer the connection is gone: the next one asks again.
        if (answer) this.#run();
      });
    }
  }
}

export const timedOut = (): RoomcastError =>
  new RoomcastError("timeout", "no answer in time");

export const queueFull = (what: string): RoomcastError =>
  new RoomcastError("queue_full", `too many ${what} wait`);
