import type { Msg } from "@nats-io/transport-node";
import type { User } from "../protocol/messages.ts";

/**
 * What nodes say, as JSON. A scope is a room, or everybody online at a node, which has the name that no room can have.
 * Versions number what one node tells, over all its scopes: so a number is never given twice, also not to a room that was
 * forgotten in between.
 */
export const ONLINE = "";

export type Listed = readonly [id: string, name: string];

/** Asks whether there is anybody. */
export interface Hello {
  readonly hello: true;
}

export interface Beat {
  /** Grows by one: a number left out may have held news. */
  readonly beat: number;
  readonly connections: number;
  /** Version of the last that the node told. */
  readonly upto: number;
  /** Scopes told of since the last beat, with their versions. */
  readonly changed: readonly (readonly [scope: string, version: number])[];
}

/** Who came and went, since the scope's version `prev`. 0: before this nobody was there. */
export interface Diff {
  readonly prev: number;
  readonly version: number;
  readonly joined: readonly Listed[];
  readonly left: readonly string[];
}

export interface TypingNote {
  readonly typing: readonly [user: string, from: string, active: boolean];
}

/** Asks who is in some scopes. */
export interface Ask {
  readonly ask: number;
  /** With the version that the asker has, or 0. */
  readonly scopes: readonly (readonly [scope: string, version: number])[];
}

export interface Answer {
  readonly answer: number;
  /** Number of this piece, from 0. */
  readonly piece: number;
  readonly last: boolean;
  /** Version of the last that the node told: a scope that is not among the states had nobody then. */
  readonly upto: number;
  readonly states: readonly State[];
}

/** A scope, by its index in the question; a large one comes in several. No list: it is as the asker has it. */
export type State = readonly [
  index: number,
  version: number,
  users?: readonly Listed[],
];

/** Something for other nodes to do or to tell. */
export interface CommandMessage {
  readonly command: unknown;
  readonly number: number;
}

export interface CommandReply {
  readonly reply: number;
  readonly value: unknown;
}

export const listed = ({ id, name }: User): Listed => [id, name];

/** @throws Error it is no JSON object */
export function parse<T extends object>(msg: Msg): Partial<T> {
  const value: unknown = msg.json();
  if (typeof value === "object" && value !== null) return value as Partial<T>;
  throw new Error("no object");
}

/** @throws Error something is missing: it is taken in whole or not at all */
export function whole<T extends object>(
  message: Partial<T>,
  numbers: readonly (keyof T & string)[],
  lists: readonly (keyof T & string)[],
): T {
  for (const key of numbers)
    if (!Number.isSafeInteger(message[key])) throw new Error(`no ${key}`);
  for (const key of lists)
    if (!Array.isArray(message[key])) throw new Error(`no list ${key}`);
  return message as T;
}

export const wholeDiff = (message: Partial<Diff>): Diff =>
  whole<Diff>(message, ["prev", "version"], ["joined", "left"]);

/** Bytes of a user in a list, at most: a character is at most three bytes, and few need an escape. */
export const sizeOfUser = ({ id, name }: User): number =>
  3 * (id.length + name.length) + 16;

export const sizeOfText = (text: string): number => 3 * text.length + 32;

/**
 * Cuts a list into pieces that fit into messages. Half of what NATS takes is left for what the estimate did not see.
 * @yields at least one piece
 */
export function* pieces<T>(
  items: Iterable<T>,
  sizeOf: (item: T) => number,
  budget: number,
): Generator<T[]> {
  let piece: T[] = [];
  let size = 0;
  for (const item of items) {
    const more = sizeOf(item);
    if (piece.length > 0 && size + more > budget) {
      yield piece;
      piece = [];
      size = 0;
    }
    piece.push(item);
    size += more;
  }
  yield piece;
}

const MAX_PIECE_BYTES = 128 * 1024;

export const pieceBytes = (maxPayload: number): number =>
  Math.min(MAX_PIECE_BYTES, maxPayload / 4);

/** What is said in a room. */
export const isTyping = (
  message: Partial<Diff & TypingNote>,
): message is TypingNote => message.typing !== undefined;
