import type { Connection } from "./connection.ts";
import {
  type ClientFrame,
  clientFrame,
  OPCODE,
  patchDigits,
} from "./frames.ts";
import { type Names, payload, sendText, type Template } from "./templates.ts";
import {
  ACK_MARKER,
  ackTokenText,
  NUMBER_AT,
  NUMBER_DIGITS,
  TIME_AT,
  TIME_DIGITS,
  TOKEN_MARKER,
  tokenText,
} from "./token.ts";

/** A connection's sending side: one frame, made once, whose digits are patched for each message. */
export class Sender {
  sent = 0;
  /** Messages that were due after the connection had ended. */
  unsent = 0;
  /** Intended times (µs) of the messages whose ack has not come, by number; only where the server acks. */
  readonly awaiting = new Map<number, number>();
  readonly stream: number;
  readonly #connection: Connection;
  readonly #frame: ClientFrame;
  readonly #token_at: number;
  readonly #ack_at: number;
  readonly #acks: boolean;

  constructor(
    connection: Connection,
    template: Template,
    names: Names,
    stream: number,
    text_bytes: number,
  ) {
    this.stream = stream;
    this.#connection = connection;
    const text = sendText(
      template,
      names,
      tokenText(stream, 0, 0),
      ackTokenText(stream, 0),
      text_bytes,
    );
    const body = Buffer.from(payload(template, text));
    this.#frame = clientFrame(
      template.encoding === "msgpack" ? OPCODE.binary : OPCODE.text,
      body,
    );
    this.#token_at = body.indexOf(TOKEN_MARKER);
    this.#ack_at = body.indexOf(ACK_MARKER);
    this.#acks = template.acks;
  }

  /** Sends the next message, meant for `time_us`; false if the connection has ended. */
  send(time_us: number): boolean {
    if (!this.#connection.open) {
      this.unsent++;
      return false;
    }
    const number = this.sent++;
    patchDigits(this.#frame, this.#token_at + NUMBER_AT, NUMBER_DIGITS, number);
    patchDigits(
      this.#frame,
      this.#token_at + TIME_AT,
      TIME_DIGITS,
      Math.floor(time_us),
    );
    if (this.#ack_at >= 0)
      patchDigits(this.#frame, this.#ack_at + NUMBER_AT, NUMBER_DIGITS, number);
    if (this.#acks) this.awaiting.set(number, time_us);
    this.#connection.write(this.#frame.bytes);
    return true;
  }
}
