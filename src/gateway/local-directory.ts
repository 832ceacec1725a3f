import { firstAfter } from "../collections/first-after.ts";
import type { User } from "../protocol/messages.ts";
import { AdmissionCount } from "./admission.ts";
import type {
  Admission,
  Arrival,
  Directory,
  DirectoryListener,
  Members,
  Place,
  RoomCount,
  Census,
  Totals,
} from "./directory.ts";
import { Presence, presenceDelay } from "./presence.ts";
import type { Users } from "./users.ts";

interface LocalRoom {
  readonly presence: Presence;
  /** Runs while changes are collected. */
  timer: Timer | undefined;
}

/** The directory of one process: maps, and answers at once. */
export class LocalDirectory implements Directory, Census {
  /** Rooms with users in them, or with changes to tell. */
  readonly #rooms = new Map<string, LocalRoom>();
  #connections = 0;

  constructor(
    private readonly admission: AdmissionCount,
    private readonly online: Users,
    private readonly listener: Pick<DirectoryListener, "presenceChanged">,
  ) {}

  admit(address: string, who: Arrival): Admission {
    const refused = this.admission.enter(address);
    if (refused) return refused;
    if (who.kind === "nobody") return { address, user: undefined };
    const user = who.kind === "user" ? who.user : this.online.guest(who.name);
    this.online.connected(user);
    this.#connections++;
    return { address, user };
  }

  leave({ address, user }: Place): void {
    this.admission.leave(address);
    if (!user) return;
    this.online.disconnected(user);
    this.#connections--;
  }

  get users(): number {
    return this.online.count;
  }

  enter(name: string, { user }: Place): void {
    let room = this.#rooms.get(name);
    if (!room) {
      room = { presence: new Presence(), timer: undefined };
      this.#rooms.set(name, room);
    }
    room.presence.join(userOf(user));
    this.#changed(name, room);
  }

  exit(name: string, { user }: Place): void {
    const room = this.#rooms.get(name);
    if (!room) return;
    room.presence.leave(userOf(user));
    this.#changed(name, room);
  }

  count(name: string): number {
    return this.#rooms.get(name)?.presence.count ?? 0;
  }

  members(name: string): Members {
    const presence = this.#rooms.get(name)?.presence;
    return { count: presence?.count ?? 0, members: presence?.list() ?? [] };
  }

  membersAfter(name: string, after: string, limit: number): Members {
    const presence = this.#rooms.get(name)?.presence;
    const users = presence?.all() ?? [];
    return {
      count: presence?.count ?? 0,
      members: firstAfter(users, ({ id }) => id, after, limit),
    };
  }

  relay(): void {
    // There is no other gateway.
  }

  totals(): Totals {
    return { connections: this.#connections, users: this.online.count };
  }

  connections(user: string): number {
    return this.online.connections(user);
  }

  rooms(after: string, limit: number): RoomCount[] {
    const counts = this.#rooms
      .entries()
      .map(([room, { presence }]) => ({ room, users: presence.count }))
      .filter(({ users }) => users > 0);
    return firstAfter(counts, ({ room }) => room, after, limit);
  }

  /** Tells the room, after a while: changes that come together leave together. */
  #changed(name: string, room: LocalRoom): void {
    if (room.timer !== undefined) return;
    room.timer = setTimeout(() => {
      room.timer = undefined;
      const change = room.presence.take();
      if (room.presence.count === 0) this.#rooms.delete(name);
      else if (change) this.listener.presenceChanged(name, change);
    }, presenceDelay(room.presence.count));
  }
}

function userOf(user: User | undefined): User {
  if (!user) throw new Error("a place without a user is in no room");
  return user;
}
