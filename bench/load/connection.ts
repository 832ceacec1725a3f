import type { Socket, TCPSocketConnectOptions } from "bun";
import { clientFrame, FrameScanner, type FrameSink, OPCODE } from "./frames.ts";
import { upgradeAnswer, upgradeRequest } from "./handshake.ts";

export interface Target {
  hostname: string;
  port: number;
  tls: boolean;
  /** The Host header. */
  host: string;
  path: string;
  protocol: string;
}

/** What a connection tells its owner. All calls are synchronous, within a socket callback. */
export interface ConnectionOwner {
  /** The handshake is done; frames may be sent. */
  opened(): void;
  /** Before the frames of a chunk that was read. */
  chunk(): void;
  /** A whole message; the bytes are valid only during the call. */
  message(bytes: Buffer, start: number, end: number): void;
  /** The end, once: refused, failed, broken, or closed by the server. Not called after `abort`. */
  ended(reason: string): void;
}

/** One WebSocket on a raw TCP socket. */
export class Connection implements FrameSink {
  open = false;
  #ended = false;
  #owner: ConnectionOwner;
  #socket: Socket<Connection> | null = null;
  #scanner = new FrameScanner();
  #accept: string | null = null;
  #head: Buffer | null = null;
  #close_code = 0;
  /** Bytes that the kernel did not take; sent before anything else. */
  #outbox: Buffer[] = [];

  constructor(owner: ConnectionOwner) {
    this.#owner = owner;
  }

  connect(target: Target): void {
    const { head, accept } = upgradeRequest({
      host: target.host,
      path: target.path,
      ...(target.protocol === "" ? {} : { protocol: target.protocol }),
    });
    this.#accept = accept;
    this.#head = Buffer.from(head);
    const options: TCPSocketConnectOptions<Connection> = {
      hostname: target.hostname,
      port: target.port,
      socket: HANDLERS,
      data: this,
    };
    if (target.tls) options.tls = true;
    Bun.connect(options).catch((error: Error) =>
      this.end(`cannot connect: ${error.message}`),
    );
  }

  /** Writes bytes of whole frames. They may be reused by the caller afterwards. */
  write(bytes: Uint8Array): void {
    if (this.#socket === null) return;
    if (this.#outbox.length > 0) {
      this.#outbox.push(Buffer.from(bytes));
      return;
    }
    const written = this.#socket.write(bytes);
    if (written < 0) this.end("write failed");
    else if (written < bytes.length)
      this.#outbox.push(Buffer.from(bytes.subarray(written)));
  }

  send(opcode: number, payload: Uint8Array): void {
    this.write(clientFrame(opcode, payload).bytes);
  }

  /** Stops reading: a stalled client. */
  pause(): void {
    this.#socket?.pause();
  }

  /** Reads on after `pause`; only then does a socket notice that its server has closed it. */
  resume(): void {
    this.#socket?.resume();
  }

  /** Ends without a Close frame and without leaving the port in TIME_WAIT. */
  abort(): void {
    this.#ended = true;
    this.open = false;
    this.#socket?.terminate();
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.abort();
    this.#owner.ended(reason);
  }

  // Called by the socket.
  attached(socket: Socket<Connection>): void {
    if (this.#ended) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    socket.setNoDelay(true);
    this.write(this.#head!);
    this.#head = null;
  }

  received(chunk: Buffer): void {
    if (this.#ended) return;
    this.#owner.chunk();
    if (this.#accept === null) this.#scanner.push(chunk, this);
    else this.#handshake(chunk);
  }

  drained(): void {
    while (this.#outbox.length > 0) {
      const first = this.#outbox[0]!;
      const written = this.#socket!.write(first);
      if (written < 0) return this.end("write failed");
      if (written < first.length) {
        this.#outbox[0] = first.subarray(written);
        return;
      }
      this.#outbox.shift();
    }
  }

  closed(): void {
    this.end(
      this.#close_code === 0
        ? "closed without a Close frame (1006)"
        : `closed with ${this.#close_code}`,
    );
  }

  #handshake(chunk: Buffer): void {
    this.#head =
      this.#head === null ? chunk : Buffer.concat([this.#head, chunk]);
    let rest: Buffer | null;
    try {
      rest = upgradeAnswer(this.#head, this.#accept!);
    } catch (error) {
      return this.end((error as Error).message);
    }
    if (rest === null) return;
    this.#accept = null;
    this.#head = null;
    this.open = true;
    this.#owner.opened();
    if (rest.length > 0) this.#scanner.push(rest, this);
  }

  // Called by the scanner.
  message(bytes: Buffer, start: number, end: number): void {
    this.#owner.message(bytes, start, end);
  }

  ping(payload: Uint8Array): void {
    this.send(OPCODE.pong, payload);
  }

  pong(): void {}

  closeFrame(code: number): void {
    this.#close_code = code;
    const payload =
      code === 1005 ? new Uint8Array(0) : Uint8Array.of(code >> 8, code & 255);
    this.send(OPCODE.close, payload);
  }

  broken(reason: string): void {
    this.end(`protocol error: ${reason}`);
  }
}

/** One object for all sockets: Bun keeps a reference per socket, not a copy. */
const HANDLERS: TCPSocketConnectOptions<Connection>["socket"] = {
  open: (socket) => socket.data.attached(socket),
  data: (socket, chunk) => socket.data.received(chunk),
  drain: (socket) => socket.data.drained(),
  close: (socket) => socket.data.closed(),
  error: (socket, error) => socket.data.end(`socket error: ${error.message}`),
  connectError: (socket, error) =>
    socket.data.end(`cannot connect: ${error.message}`),
};
