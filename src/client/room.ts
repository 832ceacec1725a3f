import type { Position } from "../protocol/messages.ts";
import type {
  Ack,
  HistoryOptions,
  HistoryPage,
  MemberList,
  RoomEvent,
  RoomEvents,
  SendOptions,
} from "./types.ts";

/** A room this client is in, or is coming back to. Made by `client.join()`. */
export declare class Room {
  readonly name: string;
  /** `joining` also while the connection is lost: it comes back by itself. `left` is for good. */
  readonly state: "joining" | "joined" | "left";
  /** Of the last event that was delivered; undefined before the first join. */
  readonly position: Position | undefined;
  /** Users in the room, as last told. */
  readonly count: number;
  /** @returns a function that takes the listener away */
  on<E extends keyof RoomEvents>(
    event: E,
    listener: (payload: RoomEvents[E]) => void,
  ): () => void;
  /**
   * Resolves when the message is stored. Sends of a room keep their order; each is stored once, however often it had to be
   * tried.
   * @throws RoomcastError (as a rejection) with the server's code where it will not take it, `timeout`, `queue_full`,
   * `left`, `closed`, or `outcome_unknown` where the user is another one than when it was tried first
   */
  send(text: string, options?: SendOptions): Promise<Ack>;
  history(options?: HistoryOptions): Promise<HistoryPage>;
  members(): Promise<MemberList>;
  /** Tells the others. Repeating it within two seconds sends nothing, nor does it without a connection. */
  typing(active: boolean): void;
  leave(): Promise<void>;
  /** From now on. Holds up to 1,000 events for its consumer; after those it throws `fell_behind`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<RoomEvent>;
}
