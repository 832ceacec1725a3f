import type { Welcome } from "../protocol/messages.ts";
import { refusedForNow, RoomcastError } from "./errors.ts";
import { Pace } from "./pace.ts";
import type { ClientOptions, WebSocketLike } from "./types.ts";
import type { Wire } from "./wire.ts";

/** The answer to a request: the reply, a RoomcastError, or undefined where the connection ended before it. */
export type Answer = any;

/** What a connection tells its client. */
export interface ConnectionHooks {
  readonly options: ClientOptions;
  /** What an attempt needs before it can open a socket. */
  prepare(): Promise<{ wire: Wire; open: () => WebSocketLike }>;
  /** @returns ms, jittered, but not less than `least` */
  backoff(attempt: number, least?: number): number;
  welcomed(welcome: Welcome): void;
  /** A frame, or an error, that no request asked for. */
  receive(message: any): void;
  roundTrip(ms: number): void;
  /** Called once, unless the connection is dropped or closed from this side. */
  lost(code: number, reason: string): void;
}

/** How long the other side has to answer a Close frame. */
const CLOSE_TIMEOUT_MS = 1000;

/** One connection, from the first step of an attempt to its end: requests and their answers, signs of life, timers. */
export class Connection {
  declare welcome: Welcome | undefined;
  /** The server said that it leaves, and asked to stay away until then (`performance.now()`). */
  awayUntil = 0;
  readonly #hooks: ConnectionHooks;
  #socket: WebSocketLike | undefined;
  #wire: Wire | undefined;
  #pace!: Pace;
  #ended = false;
  #ref = 0;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  /** Of `#asked`, those that were sent. */
  #underWay = 0;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  /** A frame came since this was last set to false. */
  #alive = false;
  /** Cancels the timer that ends an attempt, or looks after an open connection. */
  #stopWatch: () => void;

  constructor(hooks: ConnectionHooks) {
    this.#hooks = hooks;
    this.#stopWatch = this.later(hooks.options.connectTimeoutMs ?? 10_000, () =>
      this.fail("no welcome in time"),
    );
    hooks
      .prepare()
      .then(({ wire, open }) => this.#ended || this.#open(wire, open()))
      .catch((error) => this.fail(`${error}`));
  }

  /** Whether requests go out: the server has said welcome, and not that it leaves. */
  get ready(): boolean {
    return !!this.welcome && !this.awayUntil;
  }

  /**
   * Sends a request, or, where the server leaves, keeps it for the end.
   * @param done called once, later
   */
  ask(request: object, done: (answer: Answer) => void): void {
    const ref = ++this.#ref;
    const frame = this.#wire!.encode({ ...request, ref });
    // The server would end the connection for it, and with it everything else that is under way.
    const max = this.welcome!.limits.max_frame_bytes;
    if (max && frame.length * 3 > max && new Blob([frame as any]).size > max) {
      const error = new RoomcastError(
        "too_large",
        `a frame may have ${max} bytes`,
      );
      return queueMicrotask(() => done(error));
    }
    this.#asked.set(ref, done);
    if (this.awayUntil) return;
    this.#underWay++;
    this.#socket!.send(frame);
  }

  /** Asks, and again where the server refuses for now, as long as it is `wanted`. */
  request(
    request: object,
    wanted: () => boolean,
    done: (answer: Answer) => void,
    attempt = 0,
  ): void {
    this.ask(request, (answer) => {
      if (!refusedForNow(answer)) return done(answer);
      // Kept among what was asked: the end of the connection ends the wait too.
      const ref = ++this.#ref;
      this.#asked.set(ref, done);
      this.later(this.#hooks.backoff(attempt, answer.retryAfterMs), () => {
        this.#asked.delete(ref);
        if (wanted()) this.request(request, wanted, done, attempt + 1);
        else done(answer);
      });
    });
  }

  /** Sends what gets no answer. */
  tell(request: object): void {
    this.#socket!.send(this.#wire!.encode(request));
  }

  /** @returns ms to wait before a message may go; 0 takes the turn */
  pace(): number {
    return this.#pace.take(performance.now());
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

  /** Asks for a sign of life: without any frame after it, the connection is gone. */
  ping(timeoutMs = this.#hooks.options.pingTimeoutMs ?? 10_000): void {
    const sentAt = performance.now();
    this.ask({ action: "ping" }, (answer) => {
      if (answer) this.#hooks.roundTrip(performance.now() - sentAt);
    });
    this.#watch(timeoutMs, () => this.fail("no answer to a ping"));
  }

  /** Ends it as a lost one. */
  fail(reason: string): void {
    if (this.#ended) return;
    this.drop();
    this.#hooks.lost(1006, reason);
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

  #open(wire: Wire, socket: WebSocketLike): void {
    let problem: string | undefined;
    this.#wire = wire;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onerror = (event: { message?: string }) => {
      // Bun tells the whole URL: the token or session in it is no reason to be shown or logged.
      problem = event.message?.replace(/'?wss?:\S+/, "the server");
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      let message: unknown;
      try {
        message = wire.decode(data) ?? {};
      } catch (error) {
        return this.fail(`${error}`);
      }
      this.#receive(message);
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      this.#end();
      this.#hooks.lost(code, reason || problem || "");
    };
  }

  #receive(message: any): void {
    const { action, ref } = message;
    const done = this.#asked.get(ref);
    this.#alive = true;
    if (action === "error")
      message = new RoomcastError(
        message.code,
        message.message,
        false,
        message.retry_after_ms,
      );
    if (done) {
      this.#asked.delete(ref);
      this.#underWay--;
      done(message);
    } else if (action === "welcome") {
      this.welcome = message;
      this.#pace = new Pace(message.limits.max_messages_per_second);
      this.ping();
      this.#hooks.welcomed(message);
    } else if (action === "reconnect")
      this.awayUntil = performance.now() + message.after_ms;
    else this.#hooks.receive(message);
    // The server has said that it leaves: goes when the acks in flight are here.
    if (this.awayUntil && !this.#underWay) this.fail("the server leaves");
  }

  /** After `ms` with a frame it looks on, after `ms` without one it runs `silent`. */
  #watch(ms: number, silent: () => void): void {
    this.#alive = false;
    this.#stopWatch();
    this.#stopWatch = this.later(ms, () => {
      if (!this.#alive) return silent();
      const { pingIntervalMs } = this.#hooks.options;
      this.#watch(
        pingIntervalMs || this.welcome!.ping_interval_ms || 15_000,
        () => this.ping(),
      );
    });
  }

  #detach(): WebSocketLike | undefined {
    const socket = this.#socket;
    // No nulls: `ws` throws where nobody listens to its errors.
    if (socket) socket.onmessage = socket.onclose = socket.onerror = () => {};
    this.#socket = undefined;
    this.#end();
    return socket;
  }

  #end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const [ref, done] of this.#asked) {
      this.#asked.delete(ref);
      done(undefined);
    }
  }
}
