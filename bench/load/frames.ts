/** WebSocket frames (RFC 6455) as a load generator needs them: masked ones out, unmasked ones in. */
export const OPCODE = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

export interface ClientFrame {
  bytes: Buffer;
  /** Where the (masked) payload begins. */
  payload_at: number;
  /** The 4 masking bytes. */
  mask: Uint8Array;
}

/**
 * One whole masked frame. The mask must not be zero: some servers (`ws`) skip unmasking then, and would be measured
 * too fast.
 */
export function clientFrame(opcode: number, payload: Uint8Array): ClientFrame {
  const mask = crypto.getRandomValues(new Uint8Array(4));
  mask[0]! |= 1;
  const length = payload.length;
  const payload_at = 6 + (length < 126 ? 0 : length < 65536 ? 2 : 8);
  const bytes = Buffer.alloc(payload_at + length);
  bytes[0] = 0x80 | opcode;
  if (length < 126) bytes[1] = 0x80 | length;
  else if (length < 65536) {
    bytes[1] = 0x80 | 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    bytes[1] = 0x80 | 127;
    bytes.writeBigUInt64BE(BigInt(length), 2);
  }
  bytes.set(mask, payload_at - 4);
  for (let i = 0; i < length; i++)
    bytes[payload_at + i] = payload[i]! ^ mask[i & 3]!;
  return { bytes, payload_at, mask };
}

/** Overwrites `width` payload bytes from `at` with the decimal digits of `value`. */
export function patchDigits(
  frame: ClientFrame,
  at: number,
  width: number,
  value: number,
): void {
  const { bytes, payload_at, mask } = frame;
  let rest = value;
  for (let i = at + width - 1; i >= at; i--) {
    const next = Math.floor(rest / 10);
    bytes[payload_at + i] = (0x30 + (rest - next * 10)) ^ mask[i & 3]!;
    rest = next;
  }
}

/** What a scanner finds. `message` gets bytes that are valid only during the call. */
export interface FrameSink {
  message(bytes: Buffer, start: number, end: number): void;
  ping(payload: Uint8Array): void;
  pong(): void;
  /** `code` is 1005 where the frame had none. */
  closeFrame(code: number): void;
  /** The server broke the protocol; nothing after it was scanned. */
  broken(reason: string): void;
}

const MAX_FRAME_BYTES = 64 * 1024 * 1024;

/**
 * Splits a server's byte stream into frames, whatever the chunks are. It keeps at most one unfinished frame and the
 * fragments of one message; a whole frame within a chunk is not copied.
 */
export class FrameScanner {
  /** An unfinished frame's parts so far, and how many bytes it takes to go on. */
  #parts: Buffer[] = [];
  #gathered = 0;
  #needed = 0;
  #fragments: Buffer[] | null = null;
  #broken = false;

  push(chunk: Buffer, sink: FrameSink): void {
    if (this.#broken) return;
    let bytes = chunk;
    if (this.#gathered > 0) {
      this.#parts.push(Buffer.from(chunk));
      this.#gathered += chunk.length;
      if (this.#gathered < this.#needed) return;
      bytes = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#gathered = 0;
    }
    const size = bytes.length;
    let at = 0;
    let needed = 2;
    while (at + 2 <= size) {
      const first = bytes[at]!;
      const second = bytes[at + 1]!;
      let start = at + 2;
      let length = second;
      if (second >= 126) {
        if (second > 127) {
          this.#fail(sink, "masked server frame");
          return;
        }
        start = second === 126 ? at + 4 : at + 10;
        if (start > size) {
          needed = start - at;
          break;
        }
        length =
          second === 126
            ? bytes.readUInt16BE(at + 2)
            : Number(bytes.readBigUInt64BE(at + 2));
        if (length > MAX_FRAME_BYTES) {
          this.#fail(sink, `frame of ${length} bytes`);
          return;
        }
      }
      const end = start + length;
      if (end > size) {
        needed = end - at;
        break;
      }
      // 0x81 and 0x82, whole text and binary frames, are nearly all there is.
      if (first === 0x81 || first === 0x82) sink.message(bytes, start, end);
      else if (!this.#rare(first, bytes, start, end, sink)) return;
      at = end;
    }
    if (at === size) return;
    // Copies, because a small part would otherwise keep its whole chunk alive.
    this.#parts.push(Buffer.from(bytes.subarray(at)));
    this.#gathered = size - at;
    this.#needed = needed;
  }

  #rare(
    first: number,
    bytes: Buffer,
    start: number,
    end: number,
    sink: FrameSink,
  ): boolean {
    const final = (first & 0x80) !== 0;
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0)
      return this.#fail(
        sink,
        "reserved bits set, although nothing was negotiated",
      );
    if (opcode >= 8) {
      if (!final || end - start > 125)
        return this.#fail(sink, "fragmented or oversized control frame");
      if (opcode === OPCODE.ping) sink.ping(bytes.subarray(start, end));
      else if (opcode === OPCODE.pong) sink.pong();
      else if (opcode === OPCODE.close)
        sink.closeFrame(end - start >= 2 ? bytes.readUInt16BE(start) : 1005);
      else return this.#fail(sink, `unknown opcode ${opcode}`);
      return true;
    }
    if (opcode > 2) return this.#fail(sink, `unknown opcode ${opcode}`);
    if ((opcode === OPCODE.continuation) !== (this.#fragments !== null))
      return this.#fail(
        sink,
        "a message began inside another, or continued none",
      );
    this.#fragments ??= [];
    this.#fragments.push(Buffer.from(bytes.subarray(start, end)));
    if (final) {
      const whole = Buffer.concat(this.#fragments);
      this.#fragments = null;
      sink.message(whole, 0, whole.length);
    }
    return true;
  }

  #fail(sink: FrameSink, reason: string): false {
    this.#broken = true;
    this.#parts = [];
    sink.broken(reason);
    return false;
  }
}
