import type {
  Admission,
  Arrival,
  Directory,
  DirectoryListener,
  Members,
  NoPlace,
  Place,
  PresenceTold,
  Totals,
} from "../gateway/directory.ts";
import type { Typing, User } from "../protocol/messages.ts";
import type { Channel } from "./channel.ts";
import { Requests } from "./requests.ts";
import type { ToHub, ToThread } from "./wire.ts";

/** A place, with the number that the hub knows it by. */
interface NumberedPlace extends Place {
  readonly number: number;
}

type Admitted = Omit<NumberedPlace, "address">;

/** A room that somebody here has entered. */
interface Entered {
  /** Times that it was entered here. */
  here: number;
  /** Users in all, as last told. */
  count: number;
}

/** The hub's directory, as a gateway thread has it. */
export class ThreadDirectory implements Directory {
  users = 0;
  readonly #rooms = new Map<string, Entered>();
  readonly #answers = new Requests();

  constructor(
    private readonly channel: () => Channel<ToHub, ToThread>,
    private readonly listener: DirectoryListener,
  ) {}

  admit(address: string, who: Arrival): Admission | Promise<Admission> {
    // Who waits for a place is bounded by this, in memory and in time.
    if (this.channel().full)
      return {
        code: "overloaded",
        message: "the server receives more than it can carry; try again later",
        limit: undefined,
      };
    const [id, name] =
      who.kind === "user"
        ? [who.user.id, who.user.name]
        : [undefined, who.kind === "guest" ? who.name : undefined];
    return this.#answers
      .ask<Admitted | NoPlace>((number) =>
        this.channel().send("admit", number, address, who.kind, id, name),
      )
      .then((answer) => ("code" in answer ? answer : { ...answer, address }));
  }

  leave(place: Place): void {
    this.channel().send("leave", numberOf(place));
  }

  enter(room: string, place: Place): Promise<void> {
    const entered = this.#rooms.get(room);
    if (entered) entered.here++;
    else this.#rooms.set(room, { here: 1, count: 0 });
    return this.#answers.ask((number) =>
      this.channel().send("enter", number, room, numberOf(place)),
    );
  }

  exit(room: string, place: Place): void {
    const entered = this.#rooms.get(room);
    if (entered && --entered.here === 0) this.#rooms.delete(room);
    this.channel().send("exit", room, numberOf(place));
  }

  count(room: string): number {
    return this.#rooms.get(room)?.count ?? 0;
  }

  members(room: string): Promise<Members> {
    return this.#answers.ask((number) =>
      this.channel().send("members", number, room),
    );
  }

  relay({ room, user, from, active }: Typing): void {
    const channel = this.channel();
    if (!channel.full) channel.send("relay", room, user, from, active);
  }

  totals(): Promise<Totals> {
    return this.#answers.ask((number) => this.channel().send("totals", number));
  }

  readonly calls: Pick<
    ToThread,
    | "admitted"
    | "refused"
    | "entered"
    | "count"
    | "members"
    | "totals"
    | "presence"
    | "note"
  > = {
    admitted: (number, users, id, name) => {
      this.users = users;
      const user = id === undefined ? undefined : ({ id, name } as User);
      const admitted: Admitted = { number, user };
      this.#answers.answer(number, admitted);
    },

    refused: (number, code, message, limit) => {
      const refused: NoPlace = { code, message, limit };
      this.#answers.answer(number, refused);
    },

    entered: (number, room, count) => {
      this.#told(room, count);
      this.#answers.answer(number, undefined);
    },

    count: (room, count) => this.#told(room, count),

    members: (number, members) =>
      this.#answers.answer(number, JSON.parse(members)),

    totals: (number, connections, users) =>
      this.#answers.answer(number, { connections, users }),

    presence: (room, count, change) => {
      this.#told(room, count);
      this.listener.presenceChanged(
        room,
        change === undefined
          ? { joined: undefined, left: undefined, count }
          : (JSON.parse(change) as PresenceTold),
      );
    },

    note: (room, user, from, active) =>
      this.listener.note({ action: "typing", room, user, from, active }),
  };

  #told(room: string, count: number): void {
    const entered = this.#rooms.get(room);
    if (entered) entered.count = count;
  }
}

const numberOf = (place: Place): number => (place as NumberedPlace).number;
