import { BrokerError } from "../broker/broker.ts";
import { firstAfter } from "../collections/first-after.ts";
import type { Census, Members, RoomCount } from "../gateway/directory.ts";
import type { Question, Replies } from "./commands.ts";

const RETRY_AFTER_MS = 1000;

/** A node's directory: what it knows by itself, and what it can ask the others. */
export interface Asked {
  /** Whether the others can be heard. */
  readonly up: boolean;
  readonly nodes: readonly string[];
  connections(user: string): number;
  rooms(after: string, limit: number): RoomCount[];
  membersAfter(room: string, after: string, limit: number): Members;
  broadcast(question: Question): Promise<Replies>;
}

/** What a node answers a question from what it knows. */
export const answerQuestion = (here: Asked, question: Question): unknown =>
  question.act === "rooms"
    ? here.rooms(question.after, question.limit)
    : here.membersAfter(question.room, question.after, question.limit);

/**
 * Rooms and members over all nodes. Each node knows only rooms that somebody has entered there, but those with their users
 * everywhere.
 */
export class WideRoster implements Census {
  constructor(private readonly here: Asked) {}

  /** Everybody online is known everywhere. */
  connections(user: string): number {
    return this.here.connections(user);
  }

  /** @throws BrokerError (as a rejection) the others cannot be heard, or one did not answer */
  async rooms(after: string, limit: number): Promise<RoomCount[]> {
    const users = new Map<string, number>();
    const question: Question = { act: "rooms", after, limit };
    for (const reply of await this.#ask<RoomCount[]>(question, Array.isArray))
      for (const { room, users: count } of reply)
        users.set(room, Math.max(count, users.get(room) ?? 0));
    return firstAfter(users, ([room]) => room, after, limit).map(
      ([room, users]) => ({ room, users }),
    );
  }

  /** @throws BrokerError (as a rejection) as above; where somebody here is in that room, nobody need answer */
  async membersAfter(
    room: string,
    after: string,
    limit: number,
  ): Promise<Members> {
    const here = this.here.membersAfter(room, after, limit);
    if (here.count > 0 && this.here.up) return here;
    const question: Question = { act: "members", room, after, limit };
    const replies = await this.#ask<Members>(question, isMembers);
    // Two may differ for a moment: who knows of more has heard more.
    return replies.reduce((a, b) => (b.count > a.count ? b : a), here);
  }

  async #ask<Reply>(
    question: Question,
    isReply: (value: unknown) => boolean,
  ): Promise<Reply[]> {
    if (!this.here.up)
      throw new BrokerError(
        "unavailable",
        "NATS is not there, and so what the other servers know",
        RETRY_AFTER_MS,
      );
    if (this.here.nodes.length === 0)
      return [answerQuestion(this.here, question) as Reply];
    const { replies, missing } = await this.here.broadcast(question);
    // A node of an earlier version answers with something else.
    const good = [...replies.values()].filter(isReply) as Reply[];
    const silent = missing.length + replies.size - good.length;
    if (silent > 0)
      throw new BrokerError(
        "unavailable",
        `${silent} of the servers did not tell what they know: ask again`,
        RETRY_AFTER_MS,
      );
    return good;
  }
}

const isMembers = (value: unknown): boolean =>
  Array.isArray((value as Partial<Members> | null)?.members);
