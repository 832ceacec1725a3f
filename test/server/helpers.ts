import type { Client, Message } from "../support/client.ts";

let rooms = 0;

/** A room that no other test uses. */
export const freshRoom = (): string => `room-${++rooms}`;

/** The next event of a room that a client receives live, with this text. */
export function event(
  client: Client,
  room: string,
  text: string,
): Promise<Message> {
  return client.next(
    (m) => m.action === "receive_message" && m.room === room && m.text === text,
  );
}

/** Sends `count` messages, `prefix0` and so on, and waits for their acks. */
export async function say(
  client: Client,
  room: string,
  count: number,
  prefix = "m",
): Promise<Message[]> {
  return await Promise.all(
    Array.from({ length: count }, (_, i) => client.say(room, `${prefix}${i}`)),
  );
}

export const texts = (events: readonly Message[]): string[] =>
  events.map((m) => m.text);

export const seqs = (events: readonly Message[]): number[] =>
  events.map((m) => m.seq);

/** `from`, `from + 1`, … up to and with `to`. */
export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Everything of an action that a client has received. */
export const received = (client: Client, action: string): Message[] =>
  client.received.filter((m) => m.action === action);

/**
 * A client's position in a room, kept as the wire contract says: what is at or below it is a repeat, what follows it is
 * taken, a hole is an error.
 */
export class Follower {
  readonly events: Message[] = [];
  repeats = 0;

  constructor(public position = 0) {}

  /** @throws Error there is a hole */
  take(event: Message): void {
    const { seq, prev = seq - 1 } = event;
    if (seq <= this.position) {
      this.repeats++;
      return;
    }
    if (prev > this.position)
      throw new Error(`a hole between ${this.position} and ${seq}`);
    this.position = seq;
    this.events.push(event);
  }
}
