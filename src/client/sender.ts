import { queueFull, timedOut } from "./calls.ts";
import type { Answer, Connection } from "./connection.ts";
import { refusedForNow, RoomcastError } from "./errors.ts";
import { Outbox, type Send } from "./outbox.ts";
import type { Shared } from "./shared.ts";
import type { Stored } from "./tracker.ts";
import type { Ack, SendOptions } from "./types.ts";
import { copy } from "./values.ts";

interface PendingSend extends Send {
  readonly message: { readonly id: string };
  readonly resolve: (ack: Ack) => void;
  /** @param maybeStored default: if it is under way, or was when a connection ended */
  readonly fail: (error: RoomcastError, maybeStored?: boolean) => void;
  /** Who sent it first, and in which epoch. */
  user?: string;
  epoch?: string;
}

/** A room's sends: from `send()` to their acks, over any number of connections. */
export class Sender {
  readonly #outbox = new Outbox<PendingSend>();
  readonly #shared: Shared;
  readonly #room: string;
  readonly #stored: (stored: Stored) => void;
  readonly #outside: () => void;
  /** While messages may go. */
  #connection: Connection | undefined;
  #epoch!: string;
  /** A pump is due when the pace allows it. */
  #paced = false;

  /**
   * @param stored called with each ack that stands for an event
   * @param outside called when the server does not have us in the room
   */
  constructor(
    shared: Shared,
    room: string,
    stored: (stored: Stored) => void,
    outside: () => void,
  ) {
    this.#shared = shared;
    this.#room = room;
    this.#stored = stored;
    this.#outside = outside;
  }

  async send(text: string, { id, data }: SendOptions): Promise<Ack> {
    const shared = this.#shared;
    const { sendTimeoutMs = 60_000, maxQueuedSends = 1000 } = shared.options;
    const message = copy({ text, id: id ?? shared.newId(), data });
    if (shared.sends >= maxQueuedSends) throw queueFull("sends");
    shared.sends++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => send.fail(timedOut()), sendTimeoutMs);
      const take = (): void => {
        clearTimeout(timer);
        if (this.#outbox.remove(send)) shared.sends--;
      };
      const send: PendingSend = {
        message,
        tries: 0,
        underWay: false,
        unknown: false,
        resolve: (ack) => {
          take();
          resolve(ack);
        },
        fail: (
          { code, message },
          maybeStored = send.unknown || send.underWay,
        ) => {
          take();
          reject(new RoomcastError(code, message, maybeStored));
          this.#pump();
        },
      };
      this.#outbox.push(send);
      this.#pump();
    });
  }

  /** The room is entered. */
  start(connection: Connection, epoch: string): void {
    this.#connection = connection;
    this.#epoch = epoch;
    this.#pump();
  }

  /**
   * The room is being entered anew, on this connection or another. Acks that waited for their place are lost with their
   * place: what they stood for comes as a message now, and is sent again for an ack that is a duplicate.
   */
  pause(): void {
    this.#connection = undefined;
    this.#paced = false;
    this.#outbox.lost();
  }

  /** Nothing goes any more. */
  end(error: RoomcastError): void {
    for (const send of this.#outbox.all) send.fail(error);
  }

  /** Sends what may go now. */
  #pump(): void {
    for (;;) {
      const connection = this.#connection;
      const send = this.#outbox.next();
      if (!send || !connection?.ready || this.#paced) return;
      const user = connection.welcome!.user.id;
      // Another user's key would not find what was stored under the first.
      if (send.unknown && send.user !== user && send.epoch === this.#epoch)
        return send.fail(
          new RoomcastError("outcome_unknown", "the user is another by now"),
        );
      const wait = connection.pace();
      if (wait) {
        this.#paced = true;
        connection.later(wait, () => {
          this.#paced = false;
          this.#pump();
        });
        return;
      }
      if (!send.unknown) {
        send.user = user;
        send.epoch = this.#epoch;
      }
      this.#outbox.sent(send);
      connection.ask(
        { ...send.message, action: "send_message", room: this.#room },
        // Without an answer the connection is gone: `pause` sees to all of them.
        (answer) => answer && this.#answered(connection, send, answer),
      );
    }
  }

  #answered(connection: Connection, send: PendingSend, answer: Answer): void {
    const { code, seq, epoch, ts, duplicate } = answer;
    if (code === "not_joined" || refusedForNow(answer)) {
      const delay = this.#shared.backoff(send.tries, answer.retryAfterMs);
      send.unknown ||= code === "outcome_unknown";
      this.#outbox.retry(send);
      connection.later(delay, () => {
        this.#outbox.release();
        this.#pump();
      });
      if (code === "not_joined") this.#outside();
    } else if (answer instanceof RoomcastError) send.fail(answer, send.unknown);
    else {
      const done = (): void => {
        send.resolve({ seq, epoch, ts, id: send.message.id, duplicate });
        this.#pump();
      };
      if (duplicate) done();
      // Also for a send that was given up: the event is there.
      else this.#stored({ seq, done });
    }
  }
}
