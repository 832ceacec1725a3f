import type { NatsConnection } from "@nats-io/transport-node";

/** A message where it lies in what was read. There is one object for all: it is of use during the call only. */
export class WireMessage {
  bytes: Buffer = Buffer.alloc(0);
  subjectAt = 0;
  subjectEnd = 0;
  headersAt = 0;
  /** The same as `headersAt` where there are none. */
  bodyAt = 0;
  end = 0;

  get headers(): string {
    return this.bytes.toString("latin1", this.headersAt, this.bodyAt);
  }

  get body(): string {
    return this.bytes.toString("utf8", this.bodyAt, this.end);
  }

  /** Bytes of the body. */
  get length(): number {
    return this.end - this.bodyAt;
  }

  /** The decimal number that the subject ends with, from this character of it on. */
  numberFrom(start: number): number {
    return digits(this.bytes, this.subjectAt + start, this.subjectEnd);
  }
}

export type TakeWire = (message: WireMessage) => void;

/** Those parts of the client's inside that this needs. */
interface Protocol {
  parser: ClientParser;
  sendCommand(bytes: Uint8Array): void;
}
interface ClientParser {
  /** 0 between two messages. */
  readonly state: number;
  parse(bytes: Uint8Array): void;
}

const LF = 10;
const SPACE = 32;
const ZERO = 48;
const H = "H".charCodeAt(0);
const M = "M".charCodeAt(0);

/**
 * The shortest way for what comes and goes by the thousand: published messages, their answers, live events. It writes a
 * turn's messages as one string, and reads where the bytes lie. The client makes some thirteen views of a buffer and four
 * other objects for each message with its answer, and the garbage collector has to look after all of them.
 *
 * Everything else, and all that is not a message, goes to the client's own parser, in whole pieces. It sits where the client
 * keeps its parser, since there is no public way.
 */
export class Wire implements ClientParser {
  readonly state = 0;
  readonly #takers = new Map<number, TakeWire>();
  readonly #message = new WireMessage();
  /** The beginning of a message whose end was not read yet: `#needs` bytes make it whole. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  #needs = 0;
  #out = "";
  #client: ClientParser;

  private constructor(private readonly protocol: Protocol) {
    this.#client = protocol.parser;
    Object.defineProperty(protocol, "parser", {
      get: () => this,
      // The client makes another for each connection.
      set: (client: ClientParser) => {
        this.#client = client;
        this.#rest = [];
        this.#restBytes = 0;
      },
    });
  }

  /** @returns undefined where the client's inside is not as in the version that this was made for */
  static over(nc: NatsConnection): Wire | undefined {
    const { protocol } = nc as unknown as { protocol?: Partial<Protocol> };
    if (
      typeof protocol?.sendCommand !== "function" ||
      typeof protocol.parser?.parse !== "function" ||
      typeof protocol.parser.state !== "number"
    )
      return undefined;
    return new Wire(protocol as Protocol);
  }

  /** From now on messages of a subscription go to `take`. @param sid the client's number for it */
  take(sid: number, take: TakeWire): void {
    this.#takers.set(sid, take);
  }

  leave(sid: number): void {
    this.#takers.delete(sid);
  }

  /**
   * Sends at the end of this task, with all others of it.
   * @param headers with the empty line after them; ASCII
   * @param length bytes of the body in UTF-8
   */
  publish(
    subject: string,
    reply: string,
    headers: string,
    body: string,
    length: number,
  ): void {
    if (this.#out === "") queueMicrotask(this.#send);
    this.#out += `HPUB ${subject} ${reply} ${headers.length} ${headers.length + length}\r\n${headers}${body}\r\n`;
  }

  readonly #send = (): void => {
    const bytes = Buffer.from(this.#out);
    this.#out = "";
    this.protocol.sendCommand(bytes);
  };

  /** What came over the connection, cut anywhere. */
  parse(read: Uint8Array): void {
    let bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    if (this.#restBytes > 0) {
      this.#rest.push(bytes);
      this.#restBytes += bytes.length;
      if (this.#restBytes < this.#needs) return;
      bytes = Buffer.concat(this.#rest, this.#restBytes);
      this.#rest = [];
      this.#restBytes = 0;
    }
    let at = this.#client.state === 0 ? 0 : this.#finish(bytes);
    while (at < bytes.length) {
      const next = this.#takeOne(bytes, at);
      if (next === 0) {
        this.#rest = [bytes.subarray(at)];
        this.#restBytes = bytes.length - at;
        return;
      }
      at = next;
    }
  }

  /** The client was in the middle of a line when this took its place. */
  #finish(bytes: Buffer): number {
    const end = bytes.indexOf(LF) + 1 || bytes.length;
    this.#client.parse(bytes.subarray(0, end));
    return end;
  }

  /** @returns where the next one begins; 0 where this one's end is missing, then `#needs` says how long it is at least */
  #takeOne(bytes: Buffer, at: number): number {
    const lineEnd = bytes.indexOf(LF, at);
    if (lineEnd < 0) {
      this.#needs = bytes.length - at + 1;
      return 0;
    }
    const first = bytes[at]!;
    if (first !== M && first !== H) {
      this.#client.parse(bytes.subarray(at, lineEnd + 1));
      return lineEnd + 1;
    }
    // MSG subject sid [reply] length, or HMSG subject sid [reply] length-of-headers length
    const subjectAt = at + (first === M ? 4 : 5);
    const subjectEnd = tokenEnd(bytes, subjectAt, lineEnd);
    const sidEnd = tokenEnd(bytes, subjectEnd + 1, lineEnd);
    const lengthAt = tokenStart(bytes, lineEnd - 1);
    const length = digits(bytes, lengthAt, lineEnd - 1);
    const headers =
      first === M
        ? 0
        : digits(bytes, tokenStart(bytes, lengthAt - 1), lengthAt - 1);
    // What makes no sense ends there: the client knows what to say.
    if (!(headers <= length)) {
      this.#client.parse(bytes.subarray(at, lineEnd + 1));
      return lineEnd + 1;
    }
    const end = lineEnd + 1 + length;
    if (end + 2 > bytes.length) {
      this.#needs = end + 2 - at;
      return 0;
    }
    const take = this.#takers.get(digits(bytes, subjectEnd + 1, sidEnd));
    if (take) {
      const message = this.#message;
      message.bytes = bytes;
      message.subjectAt = subjectAt;
      message.subjectEnd = subjectEnd;
      message.headersAt = lineEnd + 1;
      message.bodyAt = lineEnd + 1 + headers;
      message.end = end;
      take(message);
    } else this.#client.parse(bytes.subarray(at, end + 2));
    return end + 2;
  }
}

function tokenEnd(bytes: Buffer, at: number, end: number): number {
  while (at < end && bytes[at] !== SPACE) at++;
  return at;
}

/** Where the token begins that ends before `end`. */
function tokenStart(bytes: Buffer, end: number): number {
  while (end > 0 && bytes[end - 1] !== SPACE) end--;
  return end;
}

/** The decimal number at a place; NaN where there is something else. */
export function digits(bytes: Buffer, at: number, end: number): number {
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}
