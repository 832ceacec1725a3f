import type { Answer } from "./connection.ts";
import type { Connector } from "./connector.ts";
import { queueFull } from "./calls.ts";
import { refusedForNow, RoomcastError } from "./errors.ts";
import { Outbox, type Send } from "./outbox.ts";
import type { Ack, SendOptions } from "./types.ts";
import { checkWellFormed, copyData, newId } from "./values.ts";

interface PendingSend extends Send {
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: RoomcastError) => void;
}

/** What the sender needs of its room. */
interface SenderRoom {
  readonly name: string;
  readonly joined: () => boolean;
  readonly epoch: () => string | undefined;
  /** An event of ours is stored, which no earlier ack told. */
  readonly stored: (seq: number) => void;
  /** The server does not have us in the room. */
  readonly outside: () => void;
}

/** A room's sends: from `send()` to their acks, over any number of connections. */
export class Sender {
  readonly #outbox = new Outbox<PendingSend>();
  readonly #connector: Connector;
  readonly #room: SenderRoom;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(connector: Connector, room: SenderRoom) {
    this.#connector = connector;
    this.#room = room;
  }

  async send(text: string, options: SendOptions): Promise<Ack> {
    const connector = this.#connector;
    const { sendTimeoutMs = 60_000, maxQueuedSends = 1000 } = connector.options;
    checkWellFormed("text", text);
    checkWellFormed("id", options.id);
    const data = options.data && copyData(options.data);
    if (connector.sends >= maxQueuedSends) throw queueFull("sends");
    connector.sends++;
    return new Promise((resolve, reject) => {
      this.#outbox.push({
        id: options.id ?? newId(),
        text,
        data,
        deadline: performance.now() + sendTimeoutMs,
        tries: 0,
        underWay: false,
        unknown: false,
        user: undefined,
        epoch: undefined,
        resolve,
        reject,
      });
      this.pump();
    });
  }

  /** Sends what may go now, gives up what waited too long, and looks again when something is due. */
  pump(): void {
    const connector = this.#connector;
    const outbox = this.#outbox;
    let wakeAt = Infinity;
    for (;;) {
      const now = performance.now();
      const expired = outbox.expired(now);
      if (expired) {
        this.#fail(expired, "timeout", "no ack in time");
        continue;
      }
      wakeAt = outbox.wakeAt(now);
      const send =
        this.#room.joined() && connector.ready ? outbox.next(now) : undefined;
      if (!send) break;
      // Another user's key would not find what was stored under the first.
      if (
        send.unknown &&
        send.user !== connector.welcome!.user.id &&
        send.epoch === this.#room.epoch()
      ) {
        this.#fail(send, "outcome_unknown", "the user is another one by now");
        continue;
      }
      const wait = connector.pace();
      if (wait) {
        wakeAt = Math.min(wakeAt, now + wait);
        break;
      }
      this.#transmit(send);
    }
    clearTimeout(this.#timer);
    if (wakeAt < Infinity)
      this.#timer = setTimeout(
        () => this.pump(),
        Math.max(0, wakeAt - performance.now()),
      );
  }

  /** The connection is gone. */
  lost(): void {
    this.#outbox.lost();
  }

  /** Nothing goes any more. */
  end({ code, message }: RoomcastError): void {
    clearTimeout(this.#timer);
    for (const send of this.#outbox.all) this.#fail(send, code, message);
  }

  #transmit(send: PendingSend): void {
    const { id, text, data } = send;
    if (!send.unknown) {
      send.user = this.#connector.welcome!.user.id;
      send.epoch = this.#room.epoch();
    }
    this.#outbox.sent(send);
    this.#connector.ask(
      { action: "send_message", room: this.#room.name, text, id, data },
      (answer) => this.#answered(send, answer),
    );
  }

  #answered(send: PendingSend, answer: Answer): void {
    // Gone with the connection: `lost` sees to all of them.
    if (!answer) return;
    const outside = answer.code === "not_joined";
    if (outside || refusedForNow(answer)) {
      const delay = this.#connector.backoff(send.tries, answer.retryAfterMs);
      const unknown = answer.code === "outcome_unknown";
      this.#outbox.retry(send, unknown, performance.now() + delay);
      if (outside) this.#room.outside();
    } else if (answer instanceof RoomcastError)
      this.#fail(send, answer.code, answer.message, send.unknown);
    else {
      const { seq, epoch, ts, duplicate } = answer;
      // Also for a send that was given up: the event is there.
      if (!duplicate) this.#room.stored(seq);
      this.#take(send);
      send.resolve({ seq, epoch, ts, id: send.id, duplicate });
    }
    this.pump();
  }

  #fail(
    send: PendingSend,
    code: RoomcastError["code"],
    message: string,
    maybeStored = send.unknown || send.underWay,
  ): void {
    this.#take(send);
    send.reject(new RoomcastError(code, message, maybeStored));
  }

  #take(send: PendingSend): void {
    if (this.#outbox.remove(send)) this.#connector.sends--;
  }
}
