import type { Position, ReceiveMessage, User } from "../protocol/messages.ts";
import { Emitter } from "./emitter.ts";
import { RoomcastError } from "./errors.ts";
import { EventStream } from "./event-stream.ts";
import type { Answer } from "./connection.ts";
import type { Connector } from "./connector.ts";
import { Sender } from "./sender.ts";
import { Tracker, type JoinReply, type Step } from "./tracker.ts";
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

/** What a client does to its room. */
export interface RoomControl {
  /** Settles when the room is entered for the first time, or cannot be. */
  readonly entered: Promise<void>;
  connected(): void;
  lost(): void;
  /** Something that no request asked for. */
  receive(frame: any): void;
  /** The room is left for good. */
  end(error: RoomcastError): void;
}

type JoinAnswer = JoinReply & { readonly count: number };

const TYPING_REPEAT_MS = 2000;
/** In a room of more users the server tells only how many there are. */
const MAX_LISTED_USERS = 200;

/** A room this client is in, or is coming back to. Made by `client.join()`. */
export class Room extends Emitter<RoomEvents> {
  #state: "joining" | "joined" | "left" = "joining";
  #position: Position | undefined;
  #count = 0;
  /** By id; undefined where they are not known. */
  #users: Map<string, User> | undefined;
  readonly #connector: Connector;
  readonly #options: JoinOptions;
  readonly #tracker: Tracker;
  readonly #sender: Sender;
  readonly #forget: () => void;
  readonly #isBack: () => boolean;
  readonly #streams = new Set<EventStream<RoomEvent>>();
  /** Counts joins, so that answers which belong to an earlier one are known. */
  #generation = 0;
  /** Rejoins since it was last live. */
  #rejoins = 0;
  #entered: { resolve(): void; reject(error: RoomcastError): void } | undefined;
  /** The room was entered, and the application is given a turn to attach listeners. */
  #entering = false;
  #announced = false;
  #error: RoomcastError | undefined;
  #typed: { readonly active: boolean; readonly at: number } | undefined;

  /** @internal */
  constructor(
    readonly name: string,
    options: JoinOptions,
    connector: Connector,
    control: (control: RoomControl) => void,
    forget: () => void,
    /** Whether another room of this name was joined. */
    isBack: () => boolean,
  ) {
    super();
    this.#options = options;
    this.#connector = connector;
    this.#forget = forget;
    this.#isBack = isBack;
    this.#tracker = new Tracker(options.echo ?? true, options.since);
    this.#position = options.since;
    this.#sender = new Sender(connector, {
      name,
      joined: () => this.#state === "joined" && !this.#entering,
      epoch: () => this.#tracker.epoch,
      stored: (seq) => this.#apply(this.#tracker.ack(seq)),
      outside: () => this.#state === "joined" && this.#rejoin(),
    });
    control({
      entered: new Promise((resolve, reject) => {
        this.#entered = { resolve, reject };
      }),
      connected: () => this.#join(),
      lost: () => this.#lost(),
      receive: (frame) => this.#receive(frame),
      end: (error) => this.#end(error),
    });
  }

  /** `joining` also while the connection is lost: it comes back by itself. `left` is for good. */
  get state(): "joining" | "joined" | "left" {
    return this.#state;
  }

  /** Of the last event that was delivered; undefined before the first join. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Users in the room, as last told. */
  get count(): number {
    return this.#count;
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
  history(options: HistoryOptions = {}): Promise<HistoryPage> {
    return this.#call("get_history", options, ({ messages, more }) => ({
      messages,
      more,
    }));
  }

  /** @throws RoomcastError (as a rejection) `timeout`, `left`, `closed` */
  members(): Promise<MemberList> {
    return this.#call("get_members", {}, ({ count, members }) => {
      this.#count = count;
      this.#users =
        members.length < count
          ? undefined
          : new Map(members.map((user: User) => [user.id, user]));
      return { count, members };
    });
  }

  /** Tells the others. Repeating it within two seconds sends nothing, nor does it without a connection. */
  typing(active: boolean): void {
    const now = performance.now();
    const typed = this.#typed;
    if (this.#state !== "joined" || !this.#connector.ready) return;
    if (typed?.active === active && now - typed.at < TYPING_REPEAT_MS) return;
    this.#typed = { active, at: now };
    this.#connector.tell({ action: "typing", room: this.name, active });
  }

  /** For good. Resolves when the server has answered, or the connection is gone. Sends that wait are rejected. */
  leave(): Promise<void> {
    if (this.#state === "left") return Promise.resolve();
    this.#end(undefined);
    const connector = this.#connector;
    return new Promise((resolve) => {
      if (!connector.ready) return resolve();
      connector.request(
        { action: "leave_room", room: this.name },
        () => !this.#isBack(),
        () => resolve(),
      );
    });
  }

  /** From now on. Holds up to 1,000 events for its consumer; after those it throws `fell_behind`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<RoomEvent, undefined> {
    const stream = new EventStream<RoomEvent>((ended) =>
      this.#streams.delete(ended),
    );
    if (this.#state === "left") stream.end();
    else this.#streams.add(stream);
    return stream;
  }

  #check(): void {
    if (this.#state === "left")
      throw this.#error ?? new RoomcastError("left", "the room was left");
  }

  async #call<T>(
    action: string,
    fields: object,
    read: (answer: Answer) => T,
  ): Promise<T> {
    this.#check();
    return this.#connector.calls.add(
      this,
      { ...fields, action, room: this.name },
      () => this.#state === "joined" && !this.#entering,
      read,
    );
  }

  #join(): void {
    const generation = ++this.#generation;
    const { history, echo } = this.#options;
    this.#state = "joining";
    this.#tracker.leave();
    this.#connector.request(
      {
        action: "join_room",
        room: this.name,
        since: this.#tracker.since,
        history,
        echo,
      },
      () => generation === this.#generation,
      (answer) => {
        if (!answer || generation !== this.#generation) return;
        if (answer instanceof RoomcastError) this.#end(answer);
        else this.#joined(answer);
      },
    );
  }

  #joined(answer: JoinAnswer): void {
    this.#state = "joined";
    this.#count = answer.count;
    const entered = this.#entered;
    if (!entered) return this.#enter(answer);
    // Whoever awaits `join()` gets a turn to attach listeners; what comes meanwhile is held.
    const generation = this.#generation;
    this.#entered = undefined;
    this.#entering = true;
    this.#tracker.wait();
    this.#connector.later(0, () => {
      if (generation === this.#generation) this.#enter(answer);
    });
    entered.resolve();
  }

  #enter(answer: JoinAnswer): void {
    const { count, recovered, messages } = answer;
    const generation = this.#generation;
    const step = this.#tracker.joined(answer);
    const first = !this.#announced;
    this.#announced = true;
    this.#entering = false;
    this.#users = undefined;
    this.emit("joined", { recovered: recovered && !step.reset, count, first });
    if (step.reset) {
      const position = (this.#position = this.#tracker.since!);
      const reset = {
        messages: messages as unknown as ReceiveMessage[],
        position,
        count,
      };
      this.emit("reset", reset);
      this.#stream({ type: "reset", reset });
    }
    this.#apply(step, generation);
    this.#connector.calls.run();
    this.#sender.pump();
  }

  /** Gives events to the application, then does what the tracker wants done. */
  #apply({ deliver, then }: Step, generation = this.#generation): void {
    const epoch = this.#tracker.epoch!;
    for (const event of deliver) {
      if (this.#state === "left") return;
      this.#position = { epoch, seq: event.seq };
      this.emit("event", event);
      if (event.action === "receive_message") {
        const message = event as unknown as ReceiveMessage;
        this.emit("message", message);
        this.#stream({ type: "message", message });
      } else this.#stream({ type: "event", event });
    }
    // A listener may have reconnected, or left.
    if (generation !== this.#generation) return;
    this.#position = this.#tracker.since;
    if (then === "page") this.#page();
    else if (then === "rejoin") this.#rejoin();
    else this.#rejoins = 0;
  }

  #page(): void {
    const generation = this.#generation;
    this.#connector.request(
      { action: "get_history", room: this.name, after: this.#tracker.seq },
      () => generation === this.#generation,
      (answer) => {
        if (!answer || generation !== this.#generation) return;
        if (answer instanceof RoomcastError) this.#rejoin();
        else this.#apply(this.#tracker.page(answer.messages));
      },
    );
  }

  /** Joins again from the position, on the same connection: what is missing comes with the answer. */
  #rejoin(): void {
    const generation = ++this.#generation;
    this.#state = "joining";
    this.#tracker.leave();
    const attempt = this.#rejoins++;
    this.#connector.later(attempt && this.#connector.backoff(attempt), () => {
      if (generation === this.#generation) this.#join();
    });
  }

  #lost(): void {
    this.#generation++;
    this.#state = "joining";
    this.#tracker.leave();
    this.#sender.lost();
    this.#typed = undefined;
  }

  #receive(frame: any): void {
    if (typeof frame.seq === "number") {
      this.#apply(this.#tracker.event(frame));
    } else if (frame.action === "typing") {
      const { user, from, active } = frame;
      this.emit("typing", { user, from, active });
    } else if (frame.action === "members_changed") {
      const { joined, left, count } = frame;
      this.#count = count;
      if (!joined || count > MAX_LISTED_USERS) this.#users = undefined;
      for (const user of left ?? []) this.#users?.delete(user.id);
      for (const user of joined ?? []) this.#users?.set(user.id, user);
      const users = this.#users && [...this.#users.values()];
      this.emit("members", { joined, left, count, users });
    }
  }

  #stream(event: RoomEvent): void {
    for (const stream of this.#streams) stream.push(event);
  }

  /** @param error undefined where the application leaves */
  #end(error: RoomcastError | undefined): void {
    if (this.#state === "left") return;
    this.#state = "left";
    this.#generation++;
    this.#error = error;
    this.#tracker.leave();
    this.#forget();
    const reason = error ?? new RoomcastError("left", "the room was left");
    this.#sender.end(reason);
    this.#connector.calls.reject(this, reason);
    this.#entered?.reject(reason);
    for (const stream of this.#streams) stream.end(error);
    this.emit("left", error);
  }
}
