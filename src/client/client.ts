import { SUBPROTOCOL_PREFIX } from "../protocol/codec.ts";
import { FINAL_CLOSE_CODES } from "../protocol/errors.ts";
import type { Limits, User, Welcome } from "../protocol/messages.ts";
import { chatUrl } from "./address.ts";
import { backoff } from "./backoff.ts";
import { Calls } from "./calls.ts";
import { Connection } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import { RoomcastError } from "./errors.ts";
import { Room } from "./room.ts";
import type { Shared } from "./shared.ts";
import type {
  ClientEvents,
  ClientFormat,
  ClientOptions,
  ConnectionState,
  JoinOptions,
  StateChange,
  WebSocketConstructor,
  WebSocketLike,
} from "./types.ts";
import { copy, type Writable } from "./values.ts";
import { loadWire, type Wire } from "./wire.ts";

/** A connection that lasted this long was a good one: the next delay is short again. */
const STABLE_MS = 5000;

/** The system says that there is no network: the server is given a moment to show that there is, as on one machine. */
const OFFLINE_PING_MS = 1000;

/** Events of a browser after which a connection is tried at once. */
const WAKING = ["online", "offline", "visibilitychange"];

/** A connection to a roomcast server that comes back by itself, and the rooms on it. */
export class RoomcastClient extends Emitter<ClientEvents> {
  readonly state: ConnectionState = "connecting";
  /** Who this client is to the others; undefined before the first welcome. */
  declare readonly user: User | undefined;
  /** A guest's session: give it to a later client, and it is the same user. */
  declare readonly session: string | undefined;
  /** Users online, as of the last welcome. */
  declare readonly users: number | undefined;
  declare readonly limits: Limits | undefined;
  /** Of the last answered ping. */
  declare readonly roundTripMs: number | undefined;
  declare readonly format: ClientFormat;
  /** Rooms by name, from `join()` on, until left. */
  declare readonly rooms: ReadonlyMap<string, Room>;
  readonly #url: URL;
  readonly #WebSocket: WebSocketConstructor;
  readonly #shared: Shared;
  readonly #calls: Calls;
  #name: string | undefined;
  #connection: Connection | undefined;
  #openedAt = 0;
  /** Failed attempts since the last good connection. */
  #attempts = 0;
  /** The server asked not to come back before the retry. */
  #sentAway = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closedBy: RoomcastError | undefined;
  #closing = Promise.resolve();

  /**
   * Connects at once.
   * @param url of the server: `http(s)` or `ws(s)`; without a path it is `/chat`
   * @throws TypeError for what is no such URL; RoomcastError `no_websocket`
   */
  constructor(url: string, options: ClientOptions = {}) {
    super();
    this.#url = chatUrl(url);
    this.#WebSocket = options.WebSocket ?? (globalThis as any).WebSocket;
    if (!this.#WebSocket)
      throw new RoomcastError("no_websocket", "give options.WebSocket");
    const prefix = crypto.getRandomValues(new Uint32Array(2)).join("");
    let ids = 0;
    const { minBackoffMs = 500, maxBackoffMs = 20_000 } = options;
    this.#shared = {
      options,
      rooms: new Map(),
      sends: 0,
      newId: () => `${prefix}-${++ids}`,
      backoff: (attempt, least = 0) =>
        Math.max(
          least,
          backoff(attempt, minBackoffMs, maxBackoffMs, Math.random()),
        ),
    };
    this.#calls = new Calls(options.requestTimeoutMs);
    this.#name = options.name;
    this.session = options.session;
    this.format = options.format ?? "json";
    this.rooms = this.#shared.rooms;
    for (const event of WAKING)
      (globalThis as any).addEventListener?.(event, this.#wakeUp);
    this.#connect();
  }

  /**
   * Resolves when the server has let it in. Listeners attached right after get everything, the history asked for
   * included. A room that is there already is given as it is.
   * @throws RoomcastError (as a rejection) `invalid_field`, `too_many_rooms`, `timeout`, `left`, `closed`
   */
  async join(name: string, options: JoinOptions = {}): Promise<Room> {
    const { rooms } = this.#shared;
    this.#check();
    name = copy(name);
    let room = rooms.get(name);
    if (!room) {
      room = new Room(name, copy(options), this.#shared);
      rooms.set(name, room);
      if (this.#connection?.welcome) room.connected(this.#connection);
    }
    await room.entered;
    return room;
  }

  /**
   * @returns ms there and back
   * @throws RoomcastError (as a rejection) `timeout`, `closed`
   */
  async ping(): Promise<number> {
    this.#check();
    return this.#calls.add({ action: "ping" }, (_, sentAt) =>
      this.#measured(performance.now() - sentAt),
    );
  }

  /** At once, in place: rooms, positions and sends stay. A new `name` makes a new guest. */
  reconnect(change: { format?: ClientFormat; name?: string } = {}): void {
    const { format, name } = change;
    this.#check();
    (this as Writable<this>).format = format ?? this.format;
    if (name !== undefined && name !== this.#name) {
      this.#name = name;
      (this as Writable<this>).session = undefined;
    }
    this.#connection?.drop();
    this.#lost();
    this.#attempts = 0;
    this.#reconnect();
  }

  /** For good. What waits is rejected; afterwards no timer and no socket is left. */
  close(): Promise<void> {
    if (!this.#closedBy) this.#closing = this.#close({ reason: "closed" });
    return this.#closing;
  }

  /** @throws RoomcastError closed */
  #check(): void {
    if (this.#closedBy) throw this.#closedBy;
  }

  #connect(): void {
    const connection: Connection = new Connection({
      ...this.#shared,
      prepare: () => this.#prepare(),
      roundTrip: (ms) => this.#measured(ms),
      welcomed: (welcome) => this.#welcomed(connection, welcome),
      receive: (message) => {
        if (message instanceof RoomcastError) this.emit("error", message);
        else if (message.action === "token_expires")
          // Without a new one the connection ends with the old one; each attempt to come back asks again.
          this.#token()
            .then((token) => connection.tell({ action: "authenticate", token }))
            .catch(() => {});
        else this.rooms.get(message.room)?.receive(message);
      },
      lost: (code, reason) => this.#ended(connection, code, reason),
    });
    this.#connection = connection;
  }

  #reconnect(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#connect();
    this.#change({ state: "reconnecting" });
  }

  async #token(): Promise<string | undefined> {
    const { token } = this.#shared.options;
    return typeof token === "function" ? token() : token;
  }

  async #prepare(): Promise<{ wire: Wire; open: () => WebSocketLike }> {
    const { format } = this;
    const url = new URL(this.#url);
    const query = {
      name: this.#name,
      session: this.session,
      token: await this.#token(),
    };
    for (const [key, value] of Object.entries(query))
      if (value) url.searchParams.set(key, value);
    return {
      wire: await loadWire(format),
      open: () => new this.#WebSocket(url.href, [SUBPROTOCOL_PREFIX + format]),
    };
  }

  #welcomed(connection: Connection, welcome: Welcome): void {
    const { user, session, users, limits } = welcome;
    Object.assign(this, { user, session, users, limits });
    this.#openedAt = performance.now();
    this.rooms.forEach((room) => room.connected(connection));
    this.#calls.start(connection);
    this.#change({ state: "open" });
    this.emit("welcome", welcome);
  }

  #measured(ms: number): number {
    (this as Writable<this>).roundTripMs = ms;
    this.emit("roundtrip", ms);
    return ms;
  }

  /** The network came or went, or the page was shown or hidden: no time to wait for timers. */
  readonly #wakeUp = ({ type }: { type: string }): void => {
    const connection = this.#connection;
    if (connection?.ready)
      connection.ping(type === "offline" ? OFFLINE_PING_MS : undefined);
    else if (this.#retry && !this.#sentAway) this.#reconnect();
  };

  #lost(): void {
    this.#connection = undefined;
    this.#calls.pause();
    this.rooms.forEach((room) => room.lost());
  }

  #ended({ awayUntil }: Connection, code: number, reason: string): void {
    const now = performance.now();
    if (this.state === "open" && now - this.#openedAt >= STABLE_MS)
      this.#attempts = 0;
    this.#lost();
    reason ||= `code ${code}`;
    if (FINAL_CLOSE_CODES.includes(code))
      return void this.#close({ code, reason });
    this.#sentAway = awayUntil > 0;
    const retryInMs = awayUntil
      ? Math.max(0, Math.ceil(awayUntil - now))
      : this.#shared.backoff(this.#attempts++);
    this.#retry = setTimeout(() => this.#reconnect(), retryInMs);
    this.#change({ state: "reconnecting", code, reason, retryInMs });
  }

  async #close(change: Omit<StateChange, "state">): Promise<void> {
    const error = new RoomcastError("closed", change.reason!);
    const closing = this.#connection?.close();
    this.#closedBy = error;
    this.#connection = undefined;
    clearTimeout(this.#retry);
    for (const event of WAKING)
      (globalThis as any).removeEventListener?.(event, this.#wakeUp);
    this.#calls.end(error);
    this.rooms.forEach((room) => room.end(error));
    this.#change({ ...change, state: "closed" });
    await closing;
  }

  #change(change: StateChange): void {
    (this as Writable<this>).state = change.state;
    this.emit("state", change);
  }
}
