import type { Limits, User } from "../protocol/messages.ts";
import type { Room } from "./room.ts";
import type {
  ClientEvents,
  ClientFormat,
  ClientOptions,
  ConnectionState,
  JoinOptions,
} from "./types.ts";

/** A connection to a roomcast server that comes back by itself, and the rooms on it. */
export declare class RoomcastClient {
  /**
   * Connects at once.
   * @param url of the server: `http(s)` or `ws(s)`; a path other than `/` is kept, else it is `/chat`
   * @throws TypeError for what is no such URL; RoomcastError `no_websocket`
   */
  constructor(url: string, options?: ClientOptions);
  readonly state: ConnectionState;
  /** Who this client is to the others; undefined before the first welcome. */
  readonly user: User | undefined;
  /** A guest's session: give it to a later client, and it is the same user. */
  readonly session: string | undefined;
  /** Users online, as of the last welcome. */
  readonly users: number | undefined;
  readonly limits: Limits | undefined;
  /** Of the last answered ping. */
  readonly roundTripMs: number | undefined;
  readonly format: ClientFormat;
  /** Rooms by name, from `join()` on, until left. */
  readonly rooms: ReadonlyMap<string, Room>;
  /** @returns a function that takes the listener away */
  on<E extends keyof ClientEvents>(
    event: E,
    listener: (payload: ClientEvents[E]) => void,
  ): () => void;
  /**
   * Resolves when the server has let it in. Listeners attached right after get everything, the history asked for
   * included. A room that is there already is given as it is.
   * @throws RoomcastError (as a rejection) `invalid_field`, `too_many_rooms`, `timeout`, `closed`
   */
  join(room: string, options?: JoinOptions): Promise<Room>;
  /** @returns ms there and back */
  ping(): Promise<number>;
  /** At once, in place: rooms, positions and sends stay. A new `name` makes a new guest. */
  reconnect(change?: { format?: ClientFormat; name?: string }): void;
  /** For good. What waits is rejected; afterwards no timer and no socket is left. */
  close(): Promise<void>;
}
