import type { ErrorCode, Limit } from "../protocol/errors.ts";
import type { Typing, User } from "../protocol/messages.ts";

/**
 * The boundary behind which everything lies that is counted over all connections, wherever they are: places, users
 * online, guests' names, and who is in which room. The log is the broker's; this is what nobody needs after a restart.
 *
 * In one process (`local-directory.ts`) every answer comes at once and costs no promise. Where other gateways are counted
 * too, an answer is a promise, and `users` and `count` are what was last told: never older than an answer already given.
 */
export interface Directory {
  /**
   * Takes a place for a connection, and counts its user as online. Every place is given back with `leave`.
   * @param address the peer's IP address
   */
  admit(address: string, who: Arrival): Admission | Promise<Admission>;

  /** Gives a place back; its user may still be in rooms, which `exit` tells at any time. */
  leave(place: Place): void;

  /** Users online. One with several connections counts once. */
  readonly users: number;

  /** A connection's user is in a room from now on: once for each connection, ended by an `exit`. */
  enter(room: string, place: Place): void | Promise<void>;
  exit(room: string, place: Place): void;

  /** Users in a room that somebody here has entered. */
  count(room: string): number;
  /** At most 200 users of a room, and how many there are. */
  members(room: string): Members | Promise<Members>;

  /** Passes a note on to the room's members at other gateways. It may be lost. */
  relay(note: Typing): void;

  totals(): Totals | Promise<Totals>;
}

/** What a directory calls. A change comes after a while, so that changes which come together are told together. */
export interface DirectoryListener {
  presenceChanged(room: string, told: PresenceTold): void;
  /** A note from another gateway. */
  note(note: Typing): void;
}

export interface PresenceTold {
  /** Undefined where nobody knows any longer who came and who went. */
  readonly joined: readonly User[] | undefined;
  readonly left: readonly User[] | undefined;
  readonly count: number;
}

/** Who comes: a known user, a guest with the name it asks for, or somebody who is no user (`/echo`). */
export type Arrival =
  | { readonly kind: "user"; readonly user: User }
  | { readonly kind: "guest"; readonly name: string | undefined }
  | { readonly kind: "nobody" };

/** A connection's place in the count. */
export interface Place {
  readonly address: string;
  /** Undefined for nobody. */
  readonly user: User | undefined;
}

/** Why there is no place. */
export interface NoPlace {
  readonly code: ErrorCode;
  readonly message: string;
  readonly limit: Limit | undefined;
}

export type Admission = Place | NoPlace;

export const isRefused = (admission: Admission): admission is NoPlace =>
  "code" in admission;

export interface Members {
  readonly count: number;
  readonly members: readonly User[];
}

export interface Totals {
  /** Connections with a user. */
  readonly connections: number;
  readonly users: number;
}

/** What may be asked about everybody who is counted; for the application's back end, which asks now and then. */
export interface Census {
  /** Rooms with users in them whose names come after `after`, in the order of UTF-16 units. */
  rooms(
    after: string,
    limit: number,
  ): readonly RoomCount[] | Promise<readonly RoomCount[]>;
  /** Users in a room whose ids come after `after`, in the same order, and how many there are in all. */
  membersAfter(
    room: string,
    after: string,
    limit: number,
  ): Members | Promise<Members>;
  /** How many connections a user has. */
  connections(user: string): number | Promise<number>;
}

export interface RoomCount {
  readonly room: string;
  readonly users: number;
}
