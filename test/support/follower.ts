import { decode, encode } from "@msgpack/msgpack";
import type { Format, Message } from "./client.ts";
import { Watchers } from "./watchers.ts";

/** What a follower holds of a room. */
export interface FollowedRoom {
  readonly name: string;
  readonly echo: boolean;
  epoch: string;
  /** Seq of the last event it has; undefined until it was in the room once. */
  position: number | undefined;
  /** Position at which it came in first: it has every event after it. */
  start: number;
  /** Every event it got, live, as history, or as the ack of its own. */
  readonly log: { readonly seq: number; readonly text: string }[];
  state: "out" | "joining" | "rejoining" | "paging" | "in" | "leaving";
  /** Events that came live while history was paged. */
  readonly held: Message[];
  /** Up to where the last join's reply, and the history after it, reached. */
  upto: number;
  /** Ids of what it sent there. */
  readonly sent: Set<string>;
  /** `ref` of the last send whose ack was no duplicate. */
  ackedRef: number;
}

interface Unacked {
  readonly room: string;
  readonly id: string;
  readonly text: string;
  /** Of its last try. */
  ref: number;
}

/** Refusals after which a client tries again. */
const FOR_NOW = /^(unavailable|outcome_unknown|overloaded)$/;

/**
 * A client as strict as the contract allows the server to be: any repeat, hole or misplaced ack is a violation. It comes
 * back with its session and positions, and resends what was not acked, in order, with the same ids.
 */
export class Follower {
  readonly rooms = new Map<string, FollowedRoom>();
  readonly violations: string[] = [];
  /** Acked sends: id → seq. */
  readonly acked = new Map<string, number>();
  readonly unacked: Unacked[] = [];
  resumes = 0;
  duplicates = 0;
  /** Refusals for now, after which it tried again. */
  refusals = 0;
  #socket: WebSocket | undefined;
  #session: string | undefined;
  #sent = 0;
  #refs = 0;
  /** What a refusal of the request with this `ref` is answered by. */
  readonly #again = new Map<number, () => void>();
  readonly #watchers = new Watchers();

  constructor(
    readonly name: string,
    readonly format: Exclude<Format, "text">,
    private readonly url: () => string,
    /**
     * Of a server with its history in NATS: seqs of a room have holes between them, so that an ack does not tell what is
     * before it; and requests may be refused for now, which is no violation: they are made again.
     */
    private readonly overNats = false,
  ) {}

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects and comes back into its rooms. Resolves false where the server is not there. */
  connect(): Promise<boolean> {
    const query = new URLSearchParams({
      name: this.name,
      ...(this.#session ? { session: this.#session } : {}),
    });
    const socket = new WebSocket(`${this.url()}/chat?${query}`, [
      `roomcast.v1.${this.format}`,
    ]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    return new Promise((resolve) => {
      socket.onmessage = (event) => {
        if (this.#socket !== socket) return;
        const data = event.data as string | ArrayBuffer;
        const message =
          typeof data === "string"
            ? JSON.parse(data)
            : (decode(new Uint8Array(data)) as Message);
        this.#receive(message);
        if (message.action === "welcome") resolve(true);
        this.#watchers.changed();
      };
      socket.onclose = () => {
        if (this.#socket === socket) {
          this.#socket = undefined;
          this.#out();
        }
        resolve(false);
        this.#watchers.changed();
      };
    });
  }

  /** Goes away without a word. */
  drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#out();
    socket?.terminate();
    this.#watchers.changed();
  }

  join(name: string, echo: boolean): void {
    if (this.rooms.has(name)) return;
    const room: FollowedRoom = {
      name,
      echo,
      epoch: "",
      position: undefined,
      start: 0,
      log: [],
      state: "out",
      held: [],
      upto: 0,
      sent: new Set(),
      ackedRef: 0,
    };
    this.rooms.set(name, room);
    if (this.connected) this.#join(room);
  }

  /** Leaves, to come back later. */
  leave(name: string): void {
    const room = this.rooms.get(name);
    if (!this.connected || room?.state !== "in") return;
    room.state = "leaving";
    this.#send({ action: "leave_room", room: name });
  }

  comeBack(name: string): void {
    const room = this.rooms.get(name);
    if (this.connected && room?.state === "out") this.#join(room);
  }

  /** Joins a room it is in once more: repositions in place. */
  rejoin(name: string): void {
    const room = this.rooms.get(name);
    if (!this.connected || room?.state !== "in") return;
    this.#join(room);
    room.state = "rejoining";
  }

  /** @returns whether it could: it is in the room */
  say(name: string): boolean {
    const room = this.rooms.get(name);
    if (!this.connected || room?.state !== "in") return false;
    const id = `${this.name}-${++this.#sent}`;
    const message: Unacked = { room: name, id, text: `${name} ${id}`, ref: 0 };
    room.sent.add(id);
    this.unacked.push(message);
    this.#sendMessage(message);
    return true;
  }

  /** Resolves when `reached` holds; it is looked at after every frame. */
  until(reached: () => boolean): Promise<void> {
    return this.#watchers.until(reached);
  }

  #send(message: Message): void {
    this.#socket?.send(
      this.format === "json" ? JSON.stringify(message) : encode(message),
    );
  }

  /** Nothing that was asked on a connection that is gone will be answered. */
  #out(): void {
    this.#again.clear();
    for (const room of this.rooms.values()) {
      room.state = "out";
      room.held.length = 0;
    }
  }

  /** Sends a request. @param again run where it is refused for now, once trying anew can help */
  #ask(message: Message, again: () => void): number {
    const ref = ++this.#refs;
    if (this.overNats) this.#again.set(ref, again);
    this.#send({ ...message, ref });
    return ref;
  }

  #sendMessage(message: Unacked): void {
    const { room, id, text } = message;
    const ref = this.#ask({ action: "send_message", room, id, text }, () => {
      // Outside of the room it is sent when the follower is in it again.
      const { state } = this.rooms.get(room)!;
      if (state === "in" && message.ref === ref) this.#sendMessage(message);
    });
    message.ref = ref;
  }

  #refused(message: Message): void {
    const socket = this.#socket;
    const again = this.#again.get(message.ref);
    if (!again || !FOR_NOW.test(message.code))
      return this.#violation(`error ${message.code}: ${message.message}`);
    this.#again.delete(message.ref);
    this.refusals++;
    setTimeout(() => {
      if (socket === this.#socket) again();
    }, message.retry_after_ms ?? 100);
  }

  #join(room: FollowedRoom): void {
    room.state = "joining";
    const join = {
      action: "join_room",
      room: room.name,
      echo: room.echo,
      ...(room.position === undefined
        ? {}
        : { since: { epoch: room.epoch, seq: room.position } }),
    };
    this.#ask(join, () => {
      const { state } = room;
      this.#join(room);
      // Refused, it is still in the room.
      if (state === "rejoining") room.state = state;
    });
  }

  #receive(message: Message): void {
    if (message.action !== "error") this.#again.delete(message.ref);
    switch (message.action) {
      case "welcome":
        this.#session = message.session;
        for (const room of this.rooms.values()) this.#join(room);
        return;
      case "room_joined":
        return this.#joined(this.rooms.get(message.room)!, message);
      case "history":
        return this.#paged(this.rooms.get(message.room)!, message);
      case "receive_message": {
        const room = this.rooms.get(message.room)!;
        if (room.state === "paging") room.held.push(message);
        // What comes between a request to leave and its answer comes again after the next join.
        else if (room.state !== "leaving") this.#accept(room, message, "live");
        return;
      }
      case "room_left":
        this.rooms.get(message.room)!.state = "out";
        return;
      case "message_sent":
        return this.#acknowledged(message);
      case "error":
        return this.#refused(message);
    }
  }

  #joined(room: FollowedRoom, message: Message): void {
    if (room.position === undefined) {
      room.position = message.seq;
      room.start = message.seq;
      room.epoch = message.epoch;
    } else {
      this.resumes++;
      if (!message.recovered)
        this.#violation(`${room.name}: not recovered from ${room.position}`);
      if (message.epoch !== room.epoch)
        this.#violation(`${room.name}: another epoch`);
    }
    for (const event of message.messages) {
      // While it rejoins in place, events of the old membership go on coming: the reply may hold them again.
      if (room.state === "rejoining" && event.seq <= room.position!) continue;
      this.#accept(room, event, "missed");
    }
    room.upto = message.seq;
    if (message.more) {
      room.state = "paging";
      this.#page(room);
    } else {
      if (room.position! !== message.seq)
        this.#violation(
          `${room.name}: joined at ${message.seq} with ${room.position}`,
        );
      this.#in(room);
    }
  }

  #page(room: FollowedRoom): void {
    const page = {
      action: "get_history",
      room: room.name,
      after: room.position,
    };
    this.#ask(page, () => {
      if (room.state === "paging") this.#page(room);
    });
  }

  #paged(room: FollowedRoom, message: Message): void {
    if (room.state !== "paging") return;
    for (const event of message.messages)
      if (event.seq <= room.upto) this.#accept(room, event, "paged");
    if (room.position! < room.upto) {
      if (message.messages.length === 0)
        this.#violation(`${room.name}: an empty page before the end`);
      else this.#page(room);
      return;
    }
    for (const event of room.held.splice(0)) this.#accept(room, event, "held");
    this.#in(room);
  }

  #in(room: FollowedRoom): void {
    room.state = "in";
    for (const message of this.unacked)
      if (message.room === room.name) this.#sendMessage(message);
  }

  #acknowledged(message: Message): void {
    const { id, seq } = message;
    const before = this.acked.get(id);
    if (before !== undefined && before !== seq)
      this.#violation(`${id}: acked as ${before} and as ${seq}`);
    this.acked.set(id, seq);
    const index = this.unacked.findIndex((m) => m.id === id);
    if (index >= 0) this.unacked.splice(index, 1)[0]!.ref = 0;
    if (message.duplicate) {
      this.duplicates++;
      return;
    }
    const room = this.rooms.get(message.room)!;
    // Accepted sends keep their order; one that was refused, or not answered, is sent again with a higher number.
    if (message.ref <= room.ackedRef)
      this.#violation(`${room.name}: ${id} is stored after a later one`);
    room.ackedRef = message.ref;
    // Outside of the room an ack has no place among its events.
    if (
      room.state === "out" ||
      room.state === "leaving" ||
      room.state === "joining"
    )
      return;
    const prev = this.overNats ? 0 : seq - 1;
    if (room.state === "paging") {
      if (!room.echo && seq > room.upto)
        room.held.push({ seq, prev, text: `${message.room} ${id}` });
      return;
    }
    if (room.echo) {
      if (seq > room.position!)
        this.#violation(`${room.name}: ack ${seq} came before its event`);
    } else if (seq > room.upto)
      this.#accept(room, { seq, prev, text: `${message.room} ${id}` }, "ack");
  }

  #accept(room: FollowedRoom, event: Message, how: string): void {
    const { seq } = event;
    const prev = event.prev ?? seq - 1;
    const position = room.position;
    if (position === undefined)
      return this.#violation(`${room.name}: ${how} ${seq} before the join`);
    if (seq <= position)
      return this.#violation(
        `${room.name}: ${how} ${seq} again, at ${position}`,
      );
    if (prev > position)
      this.#violation(
        `${room.name}: ${how} ${seq} follows ${prev}, at ${position}`,
      );
    room.position = seq;
    room.log.push({ seq, text: event.text });
  }

  #violation(what: string): void {
    this.violations.push(`${this.name} (${this.format}) in ${what}`);
  }
}
