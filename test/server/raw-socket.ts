import { connect, type Socket } from "node:net";

export interface RawFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export const OPCODE = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

/** How a server answered a handshake. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** What followed the header: a body, or the first frames. */
  readonly rest: Buffer;
}

export interface Handshake {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The address to come from; every one of 127.0.0.0/8 is this machine's on Linux. */
  readonly from?: string;
}

/**
 * A WebSocket client over a bare TCP socket that does what no library would: stops reading, never answers a ping,
 * sends bytes that are no frame.
 */
export class RawSocket implements Disposable {
  /** Frames received, in order. */
  readonly frames: RawFrame[] = [];
  /** Resolves when the TCP connection has ended. */
  readonly ended: Promise<void>;
  #buffer: Buffer;
  #waiters: { count: number; resolve: () => void }[] = [];

  private constructor(
    readonly socket: Socket,
    readonly answer: Answer,
  ) {
    this.#buffer = answer.rest;
    this.ended = new Promise((resolve) => socket.once("close", resolve));
    socket.on("data", (bytes: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#parse();
    });
    this.#parse();
  }

  /** @throws Error the server did not answer 101 */
  static async connect(
    port: number,
    handshake: Handshake = {},
  ): Promise<RawSocket> {
    const { socket, answer } = await shake(port, handshake);
    if (answer.status !== 101) {
      socket.destroy();
      throw new Error(`the handshake was answered ${answer.status}`);
    }
    return new RawSocket(socket, answer);
  }

  /** Sends one masked frame. */
  send(
    opcode: number,
    payload: string | Uint8Array,
    { fin = true }: { fin?: boolean } = {},
  ): void {
    this.socket.write(maskedFrame(opcode, Buffer.from(payload), fin));
  }

  sendJson(message: object): void {
    this.send(OPCODE.text, JSON.stringify(message));
  }

  /** The text frames received, as JSON. */
  messages(): Record<string, any>[] {
    return this.frames
      .filter((frame) => frame.opcode === OPCODE.text)
      .map((frame) => JSON.parse(frame.payload.toString()));
  }

  /** Resolves when so many frames have come. */
  received(count: number): Promise<void> {
    if (this.frames.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ count, resolve }));
  }

  /** The code of the Close frame received, if one was. */
  get closeCode(): number | undefined {
    return this.frames
      .find((frame) => frame.opcode === OPCODE.close)
      ?.payload.readUInt16BE(0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #parse(): void {
    for (;;) {
      const frame = takeFrame(this.#buffer);
      if (!frame) break;
      this.frames.push(frame);
      this.#buffer = this.#buffer.subarray(frame.length);
    }
    this.#waiters = this.#waiters.filter(({ count, resolve }) => {
      if (this.frames.length < count) return true;
      resolve();
      return false;
    });
  }
}

/** The answer to a handshake that is to be refused, with its body as JSON. */
export async function refusal(
  port: number,
  handshake: Handshake,
): Promise<{ status: number; code: string; message: string }> {
  const { socket, answer } = await shake(port, handshake);
  try {
    const length = Number(answer.headers.get("content-length") ?? 0);
    let body = answer.rest;
    while (answer.status !== 101 && body.length < length)
      body = Buffer.concat([body, await nextData(socket)]);
    return {
      status: answer.status,
      ...(answer.status === 101 ? {} : JSON.parse(body.toString())),
    };
  } finally {
    socket.destroy();
  }
}

/** Opens a connection, sends a handshake, and resolves with the header of the answer. */
export async function shake(
  port: number,
  { path = "/chat", headers = {}, from }: Handshake,
): Promise<{ socket: Socket; answer: Answer }> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    ...(from ? { localAddress: from } : {}),
  });
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => {});
  const lines = Object.entries({
    host: `127.0.0.1:${port}`,
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    bytes = Buffer.concat([bytes, await nextData(socket)]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) continue;
    const [status, ...rest] = bytes
      .subarray(0, end)
      .toString("latin1")
      .split("\r\n");
    return {
      socket,
      answer: {
        status: Number(status!.split(" ")[1]),
        headers: new Map(
          rest.map((line) => {
            const colon = line.indexOf(":");
            return [
              line.slice(0, colon).toLowerCase(),
              line.slice(colon + 1).trim(),
            ];
          }),
        ),
        rest: bytes.subarray(end + 4),
      },
    };
  }
}

function nextData(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new Error("the connection has ended"));
    socket.once("close", closed);
    socket.once("data", (bytes: Buffer) => {
      socket.off("close", closed);
      resolve(bytes);
    });
  });
}

/** RFC 6455, section 5.2. */
function maskedFrame(opcode: number, payload: Buffer, fin: boolean): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const header = Buffer.alloc(2 + extended + 4);
  header[0] = (fin ? 0x80 : 0) | opcode;
  header[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) header.writeUInt16BE(length, 2);
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2);
  // A mask of zeros: the payload goes as it is.
  return Buffer.concat([header, payload]);
}

function takeFrame(
  bytes: Buffer,
): (RawFrame & { readonly length: number }) | undefined {
  if (bytes.length < 2) return undefined;
  let start = 2;
  let length = bytes[1]! & 0x7f;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    start = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    length = Number(bytes.readBigUInt64BE(2));
    start = 10;
  }
  if (bytes.length < start + length) return undefined;
  return {
    opcode: bytes[0]! & 0x0f,
    payload: bytes.subarray(start, start + length),
    length: start + length,
  };
}
