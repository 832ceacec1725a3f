import type { Order } from "../gateway/orders.ts";
import type { CommandMessage, CommandReply } from "./wire.ts";

/** Something about sanctions was written, under this seq: it is to be read and carried out. */
export interface Look {
  readonly act: "look";
  readonly seq: number;
}

/** What a node knows of rooms: those after a name, or the users of one after an id. */
export type Question =
  | { readonly act: "rooms"; readonly after: string; readonly limit: number }
  | {
      readonly act: "members";
      readonly room: string;
      readonly after: string;
      readonly limit: number;
    };

/** What a node can have all others do, or tell. */
export type Command = Order | Look | Question;

/** What all nodes answered. */
export interface Replies {
  /** By node. */
  readonly replies: ReadonlyMap<string, unknown>;
  /** Nodes that live, as far as is known, and did not answer in time. */
  readonly missing: readonly string[];
}

/**
 * Does what a command says to this node's connections.
 * @returns an answer that JSON can hold
 */
export type CommandHandler = (command: Command) => unknown;

interface Waiting {
  readonly replies: Map<string, unknown>;
  readonly missing: Set<string>;
  readonly end: () => void;
}

/** Commands under way, at most: each holds its answers. */
const MAX_COMMANDS = 1000;

/** Has all nodes do something, and gathers what they say. At most once: a command may be lost, and is not repeated. */
export class Commands {
  #numbers = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(
    private readonly own: string,
    private readonly handler: CommandHandler,
    private readonly parts: {
      readonly nodes: () => Iterable<string>;
      readonly sendAll: (message: CommandMessage) => void;
      readonly send: (node: string, message: CommandReply) => void;
    },
  ) {}

  /** Resolves when all nodes have answered, or it is too late. */
  async broadcast(command: Command, deadlineMs: number): Promise<Replies> {
    if (this.#waiting.size === MAX_COMMANDS)
      throw new Error("too many commands are under way");
    const replies = new Map<string, unknown>();
    const missing = new Set(this.parts.nodes());
    const number = ++this.#numbers;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, deadlineMs);
    this.#waiting.set(number, { replies, missing, end: resolve });
    this.parts.sendAll({ command, number });
    replies.set(this.own, await this.#handle(command));
    if (missing.size > 0) await promise;
    clearTimeout(timer);
    this.#waiting.delete(number);
    return { replies, missing: [...missing] };
  }

  async received(from: string, message: CommandMessage): Promise<void> {
    const value = await this.#handle(message.command as Command);
    this.parts.send(from, { reply: message.number, value });
  }

  replied(from: string, { reply, value }: CommandReply): void {
    const waiting = this.#waiting.get(reply);
    if (!waiting) return;
    waiting.replies.set(from, value);
    waiting.missing.delete(from);
    if (waiting.missing.size === 0) waiting.end();
  }

  async #handle(command: Command): Promise<unknown> {
    try {
      return await this.handler(command);
    } catch (error) {
      return { error: (error as Error).message };
    }
  }
}
