import type {
  LogEntry,
  MessageDeleted,
  Position,
  ReceiveMessage,
  User,
} from "../protocol/messages.ts";
import { Emitter } from "./emitter.ts";
import { RoomcastError } from "./errors.ts";
import { EventStream } from "./event-stream.ts";
import { Calls, timedOut } from "./calls.ts";
import type { Answer, Connection } from "./connection.ts";
import { Sender } from "./sender.ts";
import type { Shared } from "./shared.ts";
import { Tracker, type JoinReply, type Step, type Stored } from "./tracker.ts";
import type {
  Ack,
  HistoryOptions,
  HistoryPage,
  JoinOptions,
  MemberList,
  RoomEvent,
  RoomEvents,
  SendOptions,
} from "./types.ts";
import { copy, type Writable } from "./values.ts";

type JoinAnswer = JoinReply & { readonly count: number };

const TYPING_REPEAT_MS = 2000;
/** In a room of more users the server tells only how many there are. */
const MAX_LISTED_USERS = 200;

/** A room this client is in, or is coming back to. Made by `client.join()`. */
export class Room extends Emitter<RoomEvents> {
  /** `joining` also while the connection is lost: it comes back by itself. `left` is for good. */
  readonly state: "joining" | "joined" | "left" = "joining";
  /** Of the last event that was delivered; undefined before the first join's have been. */
  declare readonly position: Position | undefined;
  /** Users in the room, as last told. */
  readonly count: number = 0;
  /** By id; undefined where they are not known. */
  #users: Map<string, User> | undefined;
  readonly #shared: Shared;
  readonly #options: JoinOptions;
  readonly #tracker: Tracker;
  readonly #sender: Sender;
  readonly #calls: Calls;
  /** While the client is connected. */
  #connection: Connection | undefined;
  /** Counts joins, so that answers which belong to an earlier one are known. */
  #generation = 0;
  /** Rejoins since it was last live. */
  #rejoins = 0;
  /** Settles `entered`; undefined when the server has let us in once. */
  #entry: { resolve(): void; reject(error: RoomcastError): void } | undefined;
  /** The application has had its turn to attach listeners after the first join. */
  #announced = false;
  /** In the room, with everything that came before given out or asked for: requests and sends may go. */
  #inside = false;
  #error: RoomcastError | undefined;
  #typed: { readonly active: boolean; readonly at: number } | undefined;

  /**
   * Settles when the room is entered for the first time, or cannot be.
   * @internal
   */
  declare readonly entered: Promise<void>;

  /** @internal */
  constructor(
    readonly name: string,
    options: JoinOptions,
    shared: Shared,
  ) {
    super();
    this.#options = options;
    this.#shared = shared;
    this.#tracker = new Tracker(options.since);
    (this as Writable<this>).position = options.since;
    this.#calls = new Calls(shared.options.requestTimeoutMs);
    this.#sender = new Sender(
      shared,
      name,
      (stored) => this.#apply(this.#tracker.take(stored)),
      () => this.#inside && this.#rejoin(),
    );
    const timer = setTimeout(
      () => this.end(timedOut()),
      shared.options.requestTimeoutMs ?? 60_000,
    );
    this.entered = new Promise<void>((resolve, reject) => {
      this.#entry = { resolve, reject };
    }).finally(() => clearTimeout(timer));
  }

  /**
   * Resolves when the message is stored. Sends of a room keep their order; each is stored once, however often it had to be
   * tried.
   * @throws RoomcastError (as a rejection) with the server's code where it will not take it, `timeout`, `queue_full`,
   * `left`, `closed`, or `outcome_unknown` where the user is another one than when it was tried first
   */
  async send(text: string, options: SendOptions = {}): Promise<Ack> {
    this.#check();
    return this.#sender.send(text, options);
  }

  /** @throws RoomcastError (as a rejection) `timeout`, `left`, `closed`, `invalid_field` */
  async history(options: HistoryOptions = {}): Promise<HistoryPage> {
    return this.#call("get_history", copy(options), (page) => page);
  }

  /** @throws RoomcastError (as a rejection) `timeout`, `left`, `closed` */
  members(): Promise<MemberList> {
    return this.#call("get_members", {}, (list) => {
      this.#users =
        list.members.length < list.count
          ? undefined
          : new Map(list.members.map((user: User) => [user.id, user]));
      return list;
    });
  }

  /** Tells the others. Repeating it within two seconds sends nothing, nor does it without a connection. */
  typing(active: boolean): void {
    const now = performance.now();
    const typed = this.#typed;
    if (!this.#inside || !this.#connection?.ready) return;
    if (typed?.active === active && now - typed.at < TYPING_REPEAT_MS) return;
    this.#typed = { active, at: now };
    this.#connection.tell({ action: "typing", room: this.name, active });
  }

  /** For good. Resolves when the server has answered, or the connection is gone. Sends that wait are rejected. */
  leave(): Promise<void> {
    const connection = this.#connection;
    this.end();
    return new Promise((resolve) => {
      if (!connection?.ready) return resolve();
      connection.request(
        { action: "leave_room", room: this.name },
        () => !this.#shared.rooms.has(this.name),
        () => resolve(),
      );
    });
  }

  /** From now on. Holds up to 1,000 events for its consumer; after those it throws `fell_behind`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<RoomEvent, undefined> {
    const stream = new EventStream<RoomEvent>(() =>
      stops.forEach((stop) => stop()),
    );
    const stops = [
      this.on("event", (event) =>
        stream.push(
          event.action === "receive_message"
            ? { type: "message", message: event as unknown as ReceiveMessage }
            : { type: "event", event },
        ),
      ),
      this.on("reset", (reset) => stream.push({ type: "reset", reset })),
      this.on("left", (error) => stream.end(error)),
    ];
    if (this.state === "left") stream.end();
    return stream;
  }

  /** @internal */
  connected(connection: Connection): void {
    this.#connection = connection;
    this.#join();
  }

  /** @internal */
  lost(): void {
    this.#connection = this.#typed = undefined;
    this.#step();
  }

  /**
   * Something that no request asked for.
   * @internal
   */
  receive(frame: any): void {
    if (frame.seq) this.#apply(this.#tracker.take(frame));
    else if (frame.action === "typing") this.emit("typing", frame);
    // A `room_left` with a reason: nobody here asked for it.
    else if (frame.code) this.end(new RoomcastError(frame.code, frame.message));
    else if (frame.action === "members_changed") {
      const { joined, left, count } = frame;
      (this as Writable<this>).count = count;
      if (!joined || count > MAX_LISTED_USERS) this.#users = undefined;
      for (const user of left ?? []) this.#users?.delete(user.id);
      for (const user of joined ?? []) this.#users?.set(user.id, user);
      const users = this.#users && [...this.#users.values()];
      this.emit("members", { ...frame, users });
    }
  }

  /**
   * For good.
   * @param error undefined where the application leaves
   * @internal
   */
  end(error?: RoomcastError): void {
    if (this.state === "left") return;
    this.#step();
    (this as Writable<this>).state = "left";
    this.#error = error ?? new RoomcastError("left", "the room was left");
    this.#shared.rooms.delete(this.name);
    this.#calls.end(this.#error);
    this.#sender.end(this.#error);
    this.#entry?.reject(this.#error);
    this.emit("left", error);
  }

  #check(): void {
    if (this.state === "left") throw this.#error;
  }

  async #call<T>(
    action: string,
    fields: object,
    read: (answer: Answer) => T,
  ): Promise<T> {
    this.#check();
    return this.#calls.add({ ...fields, action, room: this.name }, read);
  }

  /** Out of the room, as far as this side is concerned, to come back. */
  #step(): number {
    (this as Writable<this>).state = "joining";
    this.#inside = false;
    this.#sender.pause();
    this.#calls.pause();
    this.#tracker.leave();
    return ++this.#generation;
  }

  /** @returns the same, but doing nothing when the membership of now has ended */
  #whileHere(run: (value?: any) => void): (value?: any) => void {
    const generation = this.#generation;
    return (value) => generation === this.#generation && run(value);
  }

  #ask(action: string, fields: object, done: (answer: Answer) => void): void {
    const generation = this.#generation;
    this.#connection!.request(
      { action, room: this.name, ...fields },
      () => generation === this.#generation,
      this.#whileHere((answer) => answer && done(answer)),
    );
  }

  #join(): void {
    const { history, echo } = this.#options;
    this.#step();
    const { since } = this.#tracker;
    this.#ask("join_room", { since, history, echo }, (answer) => {
      if (answer instanceof RoomcastError) return this.end(answer);
      (this as Writable<this>).state = "joined";
      (this as Writable<this>).count = answer.count;
      const entry = this.#entry;
      if (!entry) return this.#enter(answer);
      // Whoever awaits `join()` gets a turn to attach listeners; what comes meanwhile is held.
      this.#entry = undefined;
      this.#tracker.wait();
      this.#connection!.later(
        0,
        this.#whileHere(() => this.#enter(answer)),
      );
      entry.resolve();
    });
  }

  #enter(answer: JoinAnswer): void {
    const { count, recovered, messages } = answer;
    const generation = this.#generation;
    const step = this.#tracker.joined(answer);
    const first = !this.#announced;
    this.#announced = true;
    this.#inside = true;
    this.#users = undefined;
    this.emit("joined", { recovered: recovered && !step.reset, count, first });
    if (step.reset) {
      const position = ((this as Writable<this>).position =
        this.#tracker.since!);
      this.emit("reset", {
        messages: messages as unknown as LogEntry[],
        position,
        count,
      });
    }
    this.#apply(step, generation);
    if (!this.#inside) return;
    this.#calls.start(this.#connection!);
    this.#sender.start(this.#connection!, this.#tracker.epoch!);
  }

  /** Gives events to the application, then does what the tracker wants done. */
  #apply({ deliver, then }: Step, generation = this.#generation): void {
    const epoch = this.#tracker.epoch!;
    for (const item of deliver) {
      if (this.state === "left") return;
      (this as Writable<this>).position = { epoch, seq: item.seq };
      if (!item.action) (item as Stored).done();
      else this.emit("event", item);
      if (item.action === "receive_message")
        this.emit("message", item as unknown as ReceiveMessage);
      if (item.action === "message_deleted")
        this.emit("deleted", item as unknown as MessageDeleted);
    }
    // A listener may have reconnected, or left.
    if (generation !== this.#generation) return;
    (this as Writable<this>).position = this.#tracker.since;
    if (then === "page")
      this.#ask("get_history", { after: this.#tracker.seq }, (answer) => {
        if (answer instanceof RoomcastError) this.#rejoin();
        else this.#apply(this.#tracker.page(answer.messages));
      });
    else if (then === "rejoin") this.#rejoin();
    else if (deliver.length) this.#rejoins = 0;
  }

  /** Joins again from the position, on the same connection: what is missing comes with the answer. */
  #rejoin(): void {
    const attempt = this.#rejoins++;
    this.#step();
    this.#connection!.later(
      attempt && this.#shared.backoff(attempt),
      this.#whileHere(() => this.#join()),
    );
  }
}
