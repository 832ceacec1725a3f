import { RoomcastError } from "./errors.ts";
import type { WebSocketLike } from "./types.ts";
import { frameBytes, type Wire } from "./wire.ts";

/** What an attempt needs before it can open a socket. */
export interface Prepared {
  readonly wire: Wire;
  readonly open: () => WebSocketLike;
}

/** The answer to a request: the reply, a RoomcastError, or undefined where the connection ended before it. */
export type Answer = any;

/** How long the other side has to answer a Close frame. */
const CLOSE_TIMEOUT_MS = 1000;

/** One connection, from the first step of an attempt to its end. Requests are matched to answers here. */
export class Connection {
  /** Requests sent and not answered. */
  underWay = 0;
  /** Set when the server says that it goes: nothing more is sent. */
  leaving = false;
  /** Above 0: a larger frame is not sent. The server would end the connection, and with it all that is under way. */
  maxFrameBytes = 0;
  #socket: WebSocketLike | undefined;
  #wire: Wire | undefined;
  #ended = false;
  #ref = 0;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #receive: (message: any) => void;
  readonly #lost: (code: number, reason: string) => void;

  /** @param lost called once, unless the connection is dropped or closed from this side */
  constructor(
    prepare: () => Promise<Prepared>,
    receive: (message: any) => void,
    lost: (code: number, reason: string) => void,
  ) {
    this.#receive = receive;
    this.#lost = lost;
    prepare()
      .then((prepared) => this.#ended || this.#open(prepared))
      .catch((error: Error) => this.fail(error.message));
  }

  #open({ wire, open }: Prepared): void {
    const socket = open();
    let problem = "";
    this.#wire = wire;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onerror = (event: { message?: string }) => {
      problem = event.message ?? "";
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      let message: unknown;
      try {
        message = wire.decode(data);
      } catch (error) {
        return this.fail(`a frame is not usable: ${error}`);
      }
      this.#receive(message);
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      this.#end();
      this.#lost(code, reason || problem);
    };
  }

  /**
   * Sends a request.
   * @param done called once, later
   */
  ask(request: object, done: (answer: Answer) => void): void {
    const ref = ++this.#ref;
    const frame = this.#wire!.encode({ ...request, ref });
    if (this.maxFrameBytes && frameBytes(frame) > this.maxFrameBytes) {
      const error = new RoomcastError(
        "too_large",
        `a frame may have ${this.maxFrameBytes} bytes`,
      );
      queueMicrotask(() => done(error));
      return;
    }
    this.#asked.set(ref, done);
    if (this.leaving) return;
    this.underWay++;
    this.#socket!.send(frame);
  }

  /** Sends what gets no answer. */
  tell(request: object): void {
    this.#socket!.send(this.#wire!.encode(request));
  }

  /** @returns whether somebody asked for it */
  answer(ref: number | undefined, answer: Answer): boolean {
    const done = this.#asked.get(ref!);
    if (!done) return false;
    this.#asked.delete(ref!);
    this.underWay--;
    done(answer);
    return true;
  }

  /** Calls `run` after `ms`, unless the connection has ended by then. @returns a function that cancels it */
  later(ms: number, run: () => void): () => void {
    const cancel = (): void => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
    const timer = setTimeout(() => {
      cancel();
      run();
    }, ms);
    this.#timers.add(timer);
    return cancel;
  }

  /** Ends it as a lost one. */
  fail(reason: string): void {
    if (this.#ended) return;
    this.drop();
    this.#lost(1006, reason);
  }

  /** Ends it from this side, without waiting for the other. */
  drop(): void {
    const socket = this.#detach();
    if (socket?.terminate) socket.terminate();
    else socket?.close();
  }

  /** Says goodbye. Resolves when the socket is closed, or soon. */
  async close(): Promise<void> {
    const socket = this.#detach();
    if (!socket) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        socket.terminate?.();
        resolve();
      }, CLOSE_TIMEOUT_MS);
      socket.onclose = () => {
        clearTimeout(timer);
        resolve();
      };
      socket.close(1000);
    });
  }

  #detach(): WebSocketLike | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      // No nulls: `ws` throws where nobody listens to its errors.
      socket.onmessage = socket.onclose = socket.onerror = () => {};
    }
    this.#end();
    return socket;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const done of [...this.#asked.values()]) done(undefined);
    this.#asked.clear();
  }
}
