import { Connection, type ConnectionOwner } from "../load/connection.ts";
import { OPCODE } from "../load/frames.ts";

/** What the server said, decoded; only `action` is certain. */
export type Frame = Record<string, unknown> & { action: string };

export interface ChatHandlers {
  opened(): void;
  /** A frame's bytes, valid only during the call. */
  received(frame: Buffer): void;
  ended(reason: string): void;
}

/** One roomcast connection in JSON, for the scenarios that the load generator's plan cannot express. */
export class ChatClient implements ConnectionOwner {
  readonly #connection = new Connection(this);
  readonly #handlers: ChatHandlers;

  constructor(handlers: ChatHandlers) {
    this.#handlers = handlers;
  }

  /** `number` spreads connections over the loopback's addresses, whose ports are limited each. */
  connect(port: number, number: number, query: string): void {
    this.#connection.connect({
      hostname: `127.0.0.${1 + (number % 8)}`,
      port,
      tls: false,
      host: `127.0.0.1:${port}`,
      path: `/chat?${query}`,
      protocol: "roomcast.v1.json",
    });
  }

  send(request: object): void {
    this.#connection.send(OPCODE.text, Buffer.from(JSON.stringify(request)));
  }

  get open(): boolean {
    return this.#connection.open;
  }

  abort(): void {
    this.#connection.abort();
  }

  // Called by the connection.
  opened(): void {
    this.#handlers.opened();
  }

  chunk(): void {}

  message(bytes: Buffer, start: number, end: number): void {
    this.#handlers.received(bytes.subarray(start, end));
  }

  ended(reason: string): void {
    this.#handlers.ended(reason);
  }
}
