import type { User } from "../protocol/messages.ts";
import {
  isRefused,
  type Admission,
  type Arrival,
  type Place,
  type PresenceTold,
} from "../gateway/directory.ts";
import type { Hub } from "./hub.ts";
import type { Link } from "./link.ts";
import type { ToHub } from "./wire.ts";

/** A connection of a thread, and the rooms that its user is in by it: what its end takes back. */
interface Taken {
  readonly place: Place;
  readonly rooms: string[];
}

/** The directory's side of one gateway thread. It knows what the thread has taken, and takes it back if that dies. */
export class LinkPlaces {
  readonly #taken = new Map<number, Taken>();
  /** Rooms that changed while the thread had fallen behind. */
  readonly #untold = new Set<string>();
  #users = 0;
  #closed = false;

  constructor(
    private readonly hub: Hub,
    private readonly link: Link,
  ) {}

  readonly calls: Pick<
    ToHub,
    "admit" | "leave" | "enter" | "exit" | "members" | "totals" | "relay"
  > = {
    admit: (number, address, kind, id, name) =>
      when(
        this.hub.directory.admit(address, arrival(kind, id, name)),
        (admission) => this.#admitted(number, admission),
      ),

    leave: (number) => {
      const taken = this.#taken.get(number);
      if (!taken) return;
      this.#taken.delete(number);
      this.#release(taken);
    },

    enter: (number, room, place) => {
      const taken = this.#taken.get(place);
      taken?.rooms.push(room);
      const entered = taken && this.hub.directory.enter(room, taken.place);
      when(entered, () => {
        this.hub.countChanged(room);
        const count = this.hub.directory.count(room);
        this.link.channel.send("entered", number, room, count);
      });
    },

    // Of a place that was given back before, nothing is left to take back.
    exit: (room, place) => {
      const taken = this.#taken.get(place);
      const at = taken?.rooms.indexOf(room) ?? -1;
      if (!taken || at < 0) return;
      taken.rooms.splice(at, 1);
      this.#exit(room, taken.place);
    },

    members: (number, room) =>
      when(this.hub.directory.members(room), (members) =>
        this.link.channel.send("members", number, JSON.stringify(members)),
      ),

    totals: (number) =>
      when(this.hub.directory.totals(), ({ connections, users }) => {
        this.link.channel.send("ready", this.hub.broker.ready);
        this.link.channel.send("totals", number, connections, users);
      }),

    relay: (room, user, from, active) =>
      this.hub.relay(this.link, { action: "typing", room, user, from, active }),
  };

  /** Connections with a user. */
  get users(): number {
    return this.#users;
  }

  /** Tells the thread of a change in a room; one that has fallen behind is told the latest count later. */
  presenceChanged(room: string, change: PresenceTold): void {
    const channel = this.link.channel;
    if (channel.full || this.#untold.has(room)) this.#untold.add(room);
    else channel.send("presence", room, change.count, JSON.stringify(change));
  }

  countChanged(room: string): void {
    const channel = this.link.channel;
    if (channel.full || this.#untold.has(room)) this.#untold.add(room);
    else channel.send("count", room, this.hub.directory.count(room));
  }

  catchUp(): void {
    for (const room of this.#untold) {
      const channel = this.link.channel;
      if (!channel.relieved) return;
      this.#untold.delete(room);
      channel.send("presence", room, this.hub.directory.count(room), undefined);
    }
  }

  /** The thread is gone, and so are its connections. */
  close(): void {
    this.#closed = true;
    for (const taken of this.#taken.values()) this.#release(taken);
    this.#taken.clear();
    this.#untold.clear();
  }

  #admitted(number: number, admission: Admission): void {
    const { channel } = this.link;
    if (isRefused(admission)) {
      const { code, message, limit } = admission;
      channel.send("refused", number, code, message, limit);
      return;
    }
    if (this.#closed) {
      this.hub.directory.leave(admission);
      return;
    }
    const { user } = admission;
    this.#taken.set(number, { place: admission, rooms: [] });
    if (user) this.#users++;
    const { users } = this.hub.directory;
    channel.send("admitted", number, users, user?.id, user?.name);
  }

  #exit(room: string, place: Place): void {
    this.hub.directory.exit(room, place);
    this.hub.countChanged(room);
  }

  #release({ place, rooms }: Taken): void {
    for (const room of rooms) this.#exit(room, place);
    if (place.user) this.#users--;
    this.hub.directory.leave(place);
  }
}

/** At once where the directory answers at once. */
function when<T>(answer: T | Promise<T>, then: (answer: T) => void): void {
  if (answer instanceof Promise) void answer.then(then);
  else then(answer);
}

function arrival(
  kind: Arrival["kind"],
  id: string | undefined,
  name: string | undefined,
): Arrival {
  if (kind === "nobody") return { kind };
  if (kind === "guest") return { kind, name };
  return { kind, user: { id, name } as User };
}
