import { Connection, type ConnectionOwner } from "./connection.ts";
import { OPCODE } from "./frames.ts";
import type { GroupTraffic } from "./group-traffic.ts";
import type { Sender } from "./sender.ts";
import { fill, type Names, payload, type Template } from "./templates.ts";
import {
  ACK_MARKER,
  ACK_TOKEN_BYTES,
  isTokenAt,
  NUMBER_AT,
  NUMBER_DIGITS,
  readDigits,
  readTime,
  STREAM_AT,
  STREAM_DIGITS,
  TOKEN_BYTES,
  TOKEN_MARKER,
} from "./token.ts";

/** What members of one process share and tell. */
export interface MemberHost {
  chunk(): void;
  joined(member: Member): void;
  ended(member: Member, reason: string): void;
  errorFrame(text: string): void;
  otherFrame(): void;
}

const MAX_ANSWERED_BYTES = 64;
const MAX_SAMPLE_BYTES = 300;

/** One connection that is a member of one room. */
export class Member implements ConnectionOwner {
  readonly connection = new Connection(this);
  sender: Sender | null = null;
  joined = false;
  /** First of its places in the group's tally. */
  slot = 0;
  connecting_since_us = 0;
  readonly room: number;
  /** Index of the server that it connects to. */
  readonly target: number;
  readonly stalled: boolean;
  readonly names: Names;
  readonly template: Template;
  readonly #traffic: GroupTraffic;
  readonly #host: MemberHost;
  /** Where the last token lay in its frame: the next one is nearly always there too. */
  #hint = 0;
  #asked = false;
  /** A frame with this many bytes after a token may hold another message. */
  readonly #room_for_another: number;

  constructor(
    host: MemberHost,
    traffic: GroupTraffic,
    place: {
      room: number;
      target: number;
      stalled: boolean;
      names: Names;
      template: Template;
      text_bytes: number;
    },
  ) {
    this.#host = host;
    this.#traffic = traffic;
    this.room = place.room;
    this.target = place.target;
    this.stalled = place.stalled;
    this.names = place.names;
    this.template = place.template;
    this.#room_for_another = 2 * (place.text_bytes - TOKEN_BYTES) + TOKEN_BYTES;
  }

  get acks(): boolean {
    return this.template.acks;
  }

  get traffic(): GroupTraffic {
    return this.#traffic;
  }

  opened(): void {
    const { template, names, connection } = this;
    const opcode =
      template.encoding === "msgpack" ? OPCODE.binary : OPCODE.text;
    for (const frame of template.hello)
      connection.send(opcode, payload(template, fill(frame, names)));
    if (template.join_after === "") this.#askToJoin();
    if (template.joined === "") this.#join();
  }

  chunk(): void {
    this.#host.chunk();
  }

  ended(reason: string): void {
    this.#host.ended(this, reason);
  }

  message(bytes: Buffer, start: number, end: number): void {
    // Read again at the end of the run, it is not expected to have received anything.
    if (this.stalled && this.joined) return;
    let at = start + this.#hint;
    if (at + TOKEN_BYTES > end || !isTokenAt(bytes, at)) {
      at = bytes.indexOf(TOKEN_MARKER, start);
      if (at < 0 || at + TOKEN_BYTES > end) {
        this.#withoutToken(bytes, start, end);
        return;
      }
      this.#hint = at - start;
    }
    this.#delivery(bytes, at);
    // Some servers put several messages into one frame.
    while (end - at - TOKEN_BYTES >= this.#room_for_another) {
      at = bytes.indexOf(TOKEN_MARKER, at + TOKEN_BYTES);
      if (at < 0 || at + TOKEN_BYTES > end) return;
      this.#delivery(bytes, at);
    }
  }

  #delivery(bytes: Buffer, at: number): void {
    const stream = readDigits(bytes, at + STREAM_AT, STREAM_DIGITS);
    const number = readDigits(bytes, at + NUMBER_AT, NUMBER_DIGITS);
    this.#traffic.deliver(this, stream, number, readTime(bytes, at));
  }

  /** Everything that is not a delivery: rare, except for acks. */
  #withoutToken(bytes: Buffer, start: number, end: number): void {
    const frame = bytes.subarray(start, end);
    const { template } = this;
    if (!this.#asked && startsWith(frame, template.join_after)) {
      this.#askToJoin();
      return;
    }
    if (
      !this.joined &&
      template.joined !== "" &&
      frame.includes(template.joined)
    ) {
      this.#join();
      return;
    }
    if (template.error_marker !== "" && frame.includes(template.error_marker)) {
      this.#host.errorFrame(frame.toString("utf8", 0, MAX_SAMPLE_BYTES));
      return;
    }
    const at = template.acks ? frame.indexOf(ACK_MARKER) : -1;
    if (at >= 0 && at + ACK_TOKEN_BYTES <= frame.length) {
      const stream = readDigits(frame, at + STREAM_AT, STREAM_DIGITS);
      this.#traffic.ack(
        this.sender,
        stream,
        readDigits(frame, at + NUMBER_AT, NUMBER_DIGITS),
      );
      return;
    }
    const answer =
      frame.length <= MAX_ANSWERED_BYTES
        ? template.answers[frame.toString("latin1")]
        : undefined;
    if (answer !== undefined)
      this.connection.send(OPCODE.text, Buffer.from(answer));
    else this.#host.otherFrame();
  }

  #askToJoin(): void {
    const { template, names } = this;
    this.#asked = true;
    if (template.join === "") return;
    const opcode =
      template.encoding === "msgpack" ? OPCODE.binary : OPCODE.text;
    this.connection.send(opcode, payload(template, fill(template.join, names)));
  }

  #join(): void {
    this.joined = true;
    this.#host.joined(this);
  }
}

const startsWith = (frame: Buffer, text: string): boolean =>
  frame.toString("utf8", 0, text.length) === text;
