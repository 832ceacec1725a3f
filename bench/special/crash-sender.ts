import { ChatClient } from "./chat-client.ts";
import type { Stored } from "./crash.ts";

const RETRY_MS = 20;
/** What may wait for its ack: a server that is down must not find an hour's messages. */
const MAX_WAITING = 500;

interface Received {
  seq: number;
  prev?: number;
  text: string;
}

/** One user who sends, reconnects, resumes and sends again, and remembers what was promised. */
export class CrashSender {
  readonly room: string;
  readonly #port: number;
  readonly #number: number;
  readonly #text_bytes: number;
  readonly #onAck: () => void;
  /** Text by message number; what has no ack yet, in the order sent. */
  readonly #waiting = new Map<number, string>();
  /** Seq by message number, as acknowledged. */
  readonly #acked = new Map<number, number>();
  readonly #received: Received[] = [];
  #client: ChatClient | null = null;
  #session = "";
  #user = "";
  #since: { epoch: string; seq: number } | null = null;
  #joined = false;
  #sent = 0;
  #due = 0;
  #finished = false;
  #stopped = false;
  #holes = 0;
  #repeats = 0;
  /** Live events wait here while missed ones are paged. */
  #paging: { upto: number; live: Received[] } | null = null;

  constructor(
    port: number,
    number: number,
    room: string,
    text_bytes: number,
    onAck: () => void,
  ) {
    this.#port = port;
    this.#number = number;
    this.room = room;
    this.#text_bytes = text_bytes;
    this.#onAck = onAck;
    this.#connect();
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Sends what is due; `count` may be a fraction. */
  tick(count: number): void {
    if (this.#finished || !this.#joined) return;
    this.#due += count;
    for (; this.#due >= 1; this.#due--) {
      if (this.#waiting.size >= MAX_WAITING) continue;
      const n = this.#sent++;
      const text = `${this.#number}:${n}:`.padEnd(this.#text_bytes, "x");
      this.#waiting.set(n, text);
      this.#send(n, text);
    }
  }

  /** Sends nothing new from now on. */
  finish(): void {
    this.#finished = true;
  }

  stop(): void {
    this.#stopped = true;
    this.#client?.abort();
  }

  /** Holds what was promised and received against a room's whole history. */
  check(history: Stored[]) {
    const result = {
      acked: this.#acked.size,
      lost: 0,
      doubled: this.#repeats,
      reordered: 0,
      holes: this.#holes,
    };
    const places = new Map<number, number[]>();
    for (const { seq, user, text } of history) {
      if (user !== this.#user) continue;
      const n = Number(text.split(":", 2)[1]);
      places.set(n, [...(places.get(n) ?? []), seq]);
    }
    for (const [n, seq] of this.#acked) {
      const at = places.get(n) ?? [];
      if (!at.includes(seq)) result.lost++;
    }
    let last = 0;
    for (let n = 0; n < this.#sent; n++) {
      const at = places.get(n) ?? [];
      result.doubled += Math.max(0, at.length - 1);
      if (at.length > 0 && at[0]! < last) result.reordered++;
      last = Math.max(last, at[0] ?? 0);
    }
    // Joined before the first message: the whole history must have come.
    const seen = new Set(this.#received.map(({ seq }) => seq));
    for (const { seq } of history) if (!seen.has(seq)) result.lost++;
    return result;
  }

  #connect(): void {
    if (this.#stopped) return;
    this.#joined = false;
    this.#paging = null;
    const client = new ChatClient({
      opened: () => {},
      received: (bytes) => {
        if (this.#client === client) this.#take(bytes);
      },
      ended: () => {
        this.#joined = false;
        setTimeout(() => this.#connect(), RETRY_MS);
      },
    });
    this.#client = client;
    const who =
      this.#session === ""
        ? `name=c${this.#number}`
        : `session=${encodeURIComponent(this.#session)}`;
    client.connect(this.#port, this.#number, who);
  }

  #take(bytes: Buffer): void {
    const frame = JSON.parse(bytes.toString());
    switch (frame.action) {
      case "welcome":
        this.#session = frame.session;
        this.#user = frame.user.id;
        this.#client!.send({
          action: "join_room",
          room: this.room,
          ...(this.#since === null ? {} : { since: this.#since }),
        });
        return;
      case "room_joined":
        if (this.#since !== null && !frame.recovered) this.#holes++;
        this.#since ??= { epoch: frame.epoch, seq: frame.seq };
        this.#since.epoch = frame.epoch;
        if (frame.more) this.#paging = { upto: frame.seq, live: [] };
        this.#history(frame.messages, frame.more);
        return;
      case "history":
        this.#history(frame.messages, this.#since!.seq < this.#paging!.upto);
        return;
      case "receive_message":
        if (this.#paging === null) this.#event(frame);
        else this.#paging.live.push(frame);
        return;
      case "message_sent":
        this.#ack(frame);
    }
  }

  /** Missed events; once they are all here, what waits for its ack goes out again. */
  #history(messages: Received[], more: boolean): void {
    for (const one of messages) this.#event(one);
    if (more) {
      this.#client!.send({
        action: "get_history",
        room: this.room,
        after: this.#since!.seq,
      });
      return;
    }
    const live = this.#paging?.live ?? [];
    this.#paging = null;
    for (const one of live) this.#event(one);
    this.#joined = true;
    for (const [n, text] of this.#waiting) this.#send(n, text);
  }

  #event(event: Received): void {
    const since = this.#since!;
    const prev = event.prev ?? event.seq - 1;
    if (event.seq <= since.seq) {
      this.#repeats++;
      return;
    }
    if (prev > since.seq) this.#holes++;
    since.seq = event.seq;
    this.#received.push(event);
  }

  #ack(frame: { id: string; seq: number }): void {
    const n = Number(frame.id);
    this.#waiting.delete(n);
    this.#acked.set(n, frame.seq);
    this.#onAck();
  }

  #send(n: number, text: string): void {
    this.#client!.send({
      action: "send_message",
      room: this.room,
      id: String(n),
      text,
    });
  }
}
