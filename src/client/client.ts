import type { Limits, User } from "../protocol/messages.ts";
import { timedOut } from "./calls.ts";
import { Connector } from "./connector.ts";
import { Emitter } from "./emitter.ts";
import { Room, type RoomControl } from "./room.ts";
import type {
  ClientEvents,
  ClientFormat,
  ClientOptions,
  ConnectionState,
  JoinOptions,
} from "./types.ts";
import { checkWellFormed } from "./values.ts";

/** A connection to a roomcast server that comes back by itself, and the rooms on it. */
export class RoomcastClient extends Emitter<ClientEvents> {
  readonly #connector: Connector;
  readonly #rooms = new Map<string, Room>();
  readonly #controls = new Map<string, RoomControl>();
  #closing = Promise.resolve();

  /**
   * Connects at once.
   * @param url of the server: `http(s)` or `ws(s)`; without a path it is `/chat`
   * @throws TypeError for what is no such URL; RoomcastError `no_websocket`
   */
  constructor(url: string, options: ClientOptions = {}) {
    super();
    const each = (run: (control: RoomControl) => void): void => {
      for (const control of [...this.#controls.values()]) run(control);
    };
    this.#connector = new Connector(url, options, {
      emit: (event, payload) => this.emit(event, payload),
      connected: () => each((room) => room.connected()),
      lost: () => each((room) => room.lost()),
      receive: (frame) => this.#controls.get(frame.room)?.receive(frame),
      closed: (error) => each((room) => room.end(error)),
    });
  }

  get state(): ConnectionState {
    return this.#connector.state;
  }

  /** Who this client is to the others; undefined before the first welcome. */
  get user(): User | undefined {
    return this.#connector.welcome?.user;
  }

  /** A guest's session: give it to a later client, and it is the same user. */
  get session(): string | undefined {
    return this.#connector.session;
  }

  /** Users online, as of the last welcome. */
  get users(): number | undefined {
    return this.#connector.welcome?.users;
  }

  get limits(): Limits | undefined {
    return this.#connector.welcome?.limits;
  }

  /** Of the last answered ping. */
  get roundTripMs(): number | undefined {
    return this.#connector.roundTripMs;
  }

  get format(): ClientFormat {
    return this.#connector.format;
  }

  /** Rooms by name, from `join()` on, until left. */
  get rooms(): ReadonlyMap<string, Room> {
    return this.#rooms;
  }

  /**
   * Resolves when the server has let it in. Listeners attached right after get everything, the history asked for
   * included. A room that is there already is given as it is.
   * @throws RoomcastError (as a rejection) `invalid_field`, `too_many_rooms`, `timeout`, `left`, `closed`
   */
  async join(name: string, options: JoinOptions = {}): Promise<Room> {
    this.#check();
    checkWellFormed("room", name);
    if (!this.#rooms.has(name)) {
      const room: Room = new Room(
        name,
        options,
        this.#connector,
        (control) => this.#controls.set(name, control),
        () => {
          this.#rooms.delete(name);
          this.#controls.delete(name);
        },
        () => this.#rooms.has(name),
      );
      this.#rooms.set(name, room);
      const control = this.#controls.get(name)!;
      const timer = setTimeout(
        () => control.end(timedOut()),
        this.#connector.options.requestTimeoutMs ?? 60_000,
      );
      const stop = (): void => clearTimeout(timer);
      control.entered.then(stop, stop);
      if (this.state === "open") control.connected();
    }
    const room = this.#rooms.get(name)!;
    await this.#controls.get(name)!.entered;
    return room;
  }

  /**
   * @returns ms there and back
   * @throws RoomcastError (as a rejection) `timeout`, `closed`
   */
  async ping(): Promise<number> {
    this.#check();
    return this.#connector.ping(this);
  }

  /** At once, in place: rooms, positions and sends stay. A new `name` makes a new guest. */
  reconnect(change: { format?: ClientFormat; name?: string } = {}): void {
    this.#check();
    this.#connector.reconnect(change);
  }

  /** For good. What waits is rejected; afterwards no timer and no socket is left. */
  close(): Promise<void> {
    if (!this.#connector.closedBy)
      this.#closing = this.#connector.close({ reason: "closed" });
    return this.#closing;
  }

  /** @throws RoomcastError closed */
  #check(): void {
    if (this.#connector.closedBy) throw this.#connector.closedBy;
  }
}
