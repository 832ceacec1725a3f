import { SUBPROTOCOL_PREFIX } from "../protocol/codec.ts";
import { CLOSE_CODES, type CloseRule } from "../protocol/errors.ts";
import type { Welcome } from "../protocol/messages.ts";
import { backoff } from "./backoff.ts";
import { Calls } from "./calls.ts";
import { Connection, type Answer, type Prepared } from "./connection.ts";
import { refusedForNow, RoomcastError } from "./errors.ts";
import { Pace } from "./pace.ts";
import type {
  ClientEvents,
  ClientFormat,
  ClientOptions,
  StateChange,
  WebSocketConstructor,
} from "./types.ts";
import { loadWire } from "./wire.ts";

/** A connection that lasted this long was a good one: the next delay is short again. */
const STABLE_MS = 5000;
/** When the server says that it leaves, acks in flight are waited for this long. */
const LEAVE_MS = 5000;

const WAKING = ["online", "offline", "visibilitychange"];

/** What the client does at each turn of a connection's life. */
export interface ConnectorHooks {
  emit<E extends keyof ClientEvents>(event: E, payload: ClientEvents[E]): void;
  /** The server has said welcome. */
  connected(): void;
  lost(): void;
  /** Something that no request asked for. */
  receive(frame: any): void;
  /** For good. */
  closed(error: RoomcastError): void;
}

/** Keeps a connection: makes it, watches it, makes the next one when it is lost. */
export class Connector {
  state: StateChange["state"] = "connecting";
  welcome: Welcome | undefined;
  session: string | undefined;
  format: ClientFormat;
  roundTripMs: number | undefined;
  /** Set when it is closed for good. */
  closedBy: RoomcastError | undefined;
  /** Sends that wait or are under way, in all rooms. */
  sends = 0;
  readonly calls: Calls;
  readonly options: ClientOptions;
  readonly #hooks: ConnectorHooks;
  readonly #url: URL;
  readonly #WebSocket: WebSocketConstructor;
  #name: string | undefined;
  #connection: Connection | undefined;
  #pace!: Pace;
  #openedAt = 0;
  /** Failed attempts since the last good connection. */
  #attempts = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** The server asked to stay away until then. */
  #awayUntil = 0;
  /** Whether a frame came since it was last set to false. */
  #alive = false;
  /** Of the timer that ends an attempt, or looks after an open connection. */
  #cancelWatch = (): void => {};

  /** @throws TypeError, RoomcastError no_websocket */
  constructor(url: string, options: ClientOptions, hooks: ConnectorHooks) {
    this.#url = chatUrl(url);
    this.#WebSocket = options.WebSocket ?? (globalThis as any).WebSocket;
    if (!this.#WebSocket)
      throw new RoomcastError(
        "no_websocket",
        "this runtime has no WebSocket: give one as options.WebSocket, from the package ws, say",
      );
    this.options = options;
    this.#hooks = hooks;
    this.#name = options.name;
    this.session = options.session;
    this.format = options.format ?? "json";
    this.calls = new Calls(
      options.requestTimeoutMs ?? 60_000,
      (request, wanted, done) => this.request(request, wanted, done),
    );
    for (const event of WAKING)
      (globalThis as any).addEventListener?.(event, this.#wakeUp);
    this.#connect();
  }

  /** Whether requests go out now. */
  get ready(): boolean {
    return this.state === "open" && !this.#connection!.leaving;
  }

  /** One try on the open connection; `done` gets undefined when it ends first. */
  ask(request: object, done: (answer: Answer) => void): void {
    this.#connection!.ask(request, done);
  }

  /** The same, and again where the server refuses for now, as long as it is `wanted`. */
  request(
    request: object,
    wanted: () => boolean,
    done: (answer: Answer) => void,
    attempt = 0,
  ): void {
    const connection = this.#connection!;
    connection.ask(request, (answer) => {
      if (!refusedForNow(answer)) return done(answer);
      connection.later(this.backoff(attempt, answer.retryAfterMs), () => {
        if (wanted()) this.request(request, wanted, done, attempt + 1);
        else done(undefined);
      });
    });
  }

  /** Sends what gets no answer. */
  tell(request: object): void {
    this.#connection!.tell(request);
  }

  /** Calls `run` after `ms`, unless the connection ends before. */
  later(ms: number, run: () => void): void {
    this.#connection!.later(ms, run);
  }

  /** @returns ms to wait before a message may go; 0 takes the turn */
  pace(): number {
    return this.#pace.take(performance.now());
  }

  /** @returns ms, jittered, but not less than `least` */
  backoff(attempt: number, least = 0): number {
    const { minBackoffMs = 500, maxBackoffMs = 20_000 } = this.options;
    return Math.max(
      least,
      backoff(attempt, minBackoffMs, maxBackoffMs, Math.random()),
    );
  }

  /** @returns ms there and back */
  ping(owner: object): Promise<number> {
    let sentAt: number;
    return this.calls.add(
      owner,
      { action: "ping" },
      () => {
        sentAt = performance.now();
        return this.ready;
      },
      () => this.#roundTrip(sentAt),
    );
  }

  reconnect(change: { format?: ClientFormat; name?: string }): void {
    this.format = change.format ?? this.format;
    if (change.name !== undefined && change.name !== this.#name) {
      this.#name = change.name;
      this.session = undefined;
    }
    this.#connection?.drop();
    this.#lost();
    this.#attempts = 0;
    this.#connect("asked to");
  }

  async close(change: Omit<StateChange, "state">): Promise<void> {
    const error = new RoomcastError("closed", change.reason!);
    const closing = this.#connection?.close();
    this.closedBy = error;
    this.#connection = undefined;
    clearTimeout(this.#retry);
    for (const event of WAKING)
      (globalThis as any).removeEventListener?.(event, this.#wakeUp);
    this.calls.reject(undefined, error);
    this.#hooks.closed(error);
    this.#change({ ...change, state: "closed" });
    await closing;
  }

  /** @param reason why anew; undefined for the first time */
  #connect(reason?: string): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const timeout = this.options.connectTimeoutMs ?? 10_000;
    const connection: Connection = new Connection(
      () => this.#prepare(),
      (message) => this.#receive(connection, message),
      (code, why) => this.#ended(code, why),
    );
    this.#connection = connection;
    this.#cancelWatch = connection.later(timeout, () =>
      connection.fail("no welcome in time"),
    );
    if (reason) this.#change({ state: "reconnecting", reason });
  }

  async #prepare(): Promise<Prepared> {
    const { format } = this;
    const { token } = this.options;
    const url = new URL(this.#url);
    const query = {
      name: this.#name,
      session: this.session,
      token: typeof token === "function" ? await this.#ask(token) : token,
    };
    for (const [key, value] of Object.entries(query))
      if (value) url.searchParams.set(key, value);
    const WebSocket = this.#WebSocket;
    return {
      wire: await loadWire(format),
      open: () => new WebSocket(url.href, [SUBPROTOCOL_PREFIX + format]),
    };
  }

  async #ask(token: () => string | Promise<string>): Promise<string> {
    try {
      return await token();
    } catch (cause) {
      const error = new RoomcastError("token", `no token: ${cause}`);
      this.#hooks.emit("error", error);
      throw error;
    }
  }

  #receive(connection: Connection, message: any): void {
    const { action, ref } = message;
    this.#alive = true;
    if (action === "welcome") this.#welcomed(connection, message);
    else if (action === "error") {
      const { code, message: text, retry_after_ms } = message;
      const error = new RoomcastError(code, text, false, retry_after_ms);
      if (!connection.answer(ref, error)) this.#hooks.emit("error", error);
    } else if (action === "reconnect") {
      this.#awayUntil = performance.now() + message.after_ms;
      connection.leaving = true;
      connection.later(LEAVE_MS, () => connection.fail("the server leaves"));
    } else if (!connection.answer(ref, message)) this.#hooks.receive(message);
    // The server has said that it leaves: goes when the acks in flight are here.
    if (connection.leaving && !connection.underWay)
      connection.fail("the server leaves");
  }

  #welcomed(connection: Connection, welcome: Welcome): void {
    const now = (this.#openedAt = performance.now());
    this.welcome = welcome;
    this.session = welcome.session;
    this.#pace = new Pace(welcome.limits.max_messages_per_second, now);
    connection.maxFrameBytes = welcome.limits.max_frame_bytes;
    this.#awayUntil = 0;
    this.#ping(connection);
    this.#change({ state: "open" });
    this.#hooks.emit("welcome", welcome);
    // A listener may have closed it.
    if (connection !== this.#connection) return;
    this.#hooks.connected();
    this.calls.run();
  }

  /** Pings after a silence; without any frame after that, the connection is gone. */
  #watch(connection: Connection): void {
    this.#alive = false;
    this.#cancelWatch();
    this.#cancelWatch = connection.later(
      this.options.pingIntervalMs ?? this.welcome!.ping_interval_ms,
      () => (this.#alive ? this.#watch(connection) : this.#ping(connection)),
    );
  }

  #ping(connection: Connection): void {
    const sentAt = performance.now();
    this.#alive = false;
    connection.ask({ action: "ping" }, (answer) => {
      if (answer?.action === "pong") this.#roundTrip(sentAt);
    });
    this.#cancelWatch();
    this.#cancelWatch = connection.later(
      this.options.pingTimeoutMs ?? 10_000,
      () =>
        this.#alive
          ? this.#watch(connection)
          : connection.fail("no answer to a ping"),
    );
  }

  #roundTrip(sentAt: number): number {
    const ms = (this.roundTripMs = performance.now() - sentAt);
    this.#hooks.emit("roundtrip", ms);
    return ms;
  }

  /** The network came or went, or the page is seen again: no time to wait for timers. */
  readonly #wakeUp = (): void => {
    if (this.ready) this.#ping(this.#connection!);
    else if (this.#retry && performance.now() >= this.#awayUntil)
      this.#connect("woken");
  };

  #lost(): void {
    this.#connection = undefined;
    this.#hooks.lost();
  }

  #ended(code: number, reason: string): void {
    const rule = (CLOSE_CODES as { readonly [code: number]: CloseRule })[code];
    const now = performance.now();
    if (this.state === "open" && now - this.#openedAt >= STABLE_MS)
      this.#attempts = 0;
    this.#lost();
    reason ||= rule?.meaning ?? "";
    if (rule?.reconnect === false) return void this.close({ code, reason });
    const retryInMs =
      this.#awayUntil > now
        ? Math.ceil(this.#awayUntil - now)
        : this.backoff(this.#attempts++);
    this.#retry = setTimeout(() => this.#connect("trying again"), retryInMs);
    this.#change({ state: "reconnecting", code, reason, retryInMs });
  }

  #change(change: StateChange): void {
    this.state = change.state;
    this.#hooks.emit("state", change);
  }
}

/** @throws TypeError */
function chatUrl(given: string): URL {
  const url = new URL(given, (globalThis as any).location?.href);
  url.protocol = url.protocol.replace("http", "ws");
  if (!/^wss?:$/.test(url.protocol))
    throw new TypeError(`not a URL of a server: ${given}`);
  if (url.pathname === "/") url.pathname = "/chat";
  url.hash = "";
  return url;
}
