import type { ReceiveMessage } from "../../protocol/messages.ts";

/** What the page keeps of a message. */
export type Message = Pick<
  ReceiveMessage,
  "seq" | "prev" | "from" | "user" | "text" | "ts" | "id"
> & {
  /** `deleted`: only its place is left. `notice`: what tells of a deletion, which is not shown but has a place in the log. */
  readonly fate?: "deleted" | "notice" | undefined;
};

/** A run of messages that is drawn, measured and dropped as one. Never changed in place: a changed one is a new object. */
export interface Chunk {
  /** Stays the same while the chunk grows. */
  readonly id: number;
  readonly messages: readonly Message[];
}

export interface TimelineLimits {
  readonly messages: number;
  /** UTF-16 units of their texts. */
  readonly chars: number;
}

const CHUNK_MESSAGES = 50;

/**
 * The part of a room's log that the page holds: one run without gaps, in chunks. It grows at both ends, and past its limits loses
 * chunks at the other one; `moreBefore` and `moreAfter` tell that the server has more there.
 */
export class Timeline {
  chunks: readonly Chunk[] = [];
  moreBefore = false;
  /** Whether the run ends before the newest message: live messages then cannot be appended. */
  moreAfter = false;
  count = 0;
  #chars = 0;
  #nextId = 0;

  constructor(private limits: TimelineLimits) {}

  get first(): Message | undefined {
    return this.chunks[0]?.messages[0];
  }

  get last(): Message | undefined {
    return this.chunks.at(-1)?.messages.at(-1);
  }

  /**
   * A live message.
   * @param keepOldest somebody reads far from the end: at the limit, leave the newest out instead
   * @returns whether it was taken
   */
  append(message: Message, keepOldest = false): boolean {
    if (this.moreAfter || message.seq <= (this.last?.seq ?? 0)) return false;
    if (keepOldest && this.#isFull()) {
      this.moreAfter = true;
      return false;
    }
    this.#push([message]);
    this.#dropOldest();
    return true;
  }

  /** A message was deleted: only its place is left. @returns whether it was here */
  erase(target: number): boolean {
    const at = this.chunks.findIndex(
      ({ messages }) => messages.at(-1)!.seq >= target,
    );
    const chunk = this.chunks[at];
    const message = chunk?.messages.find(({ seq }) => seq === target);
    if (!message || message.fate) return false;
    const erased: Message = { ...message, text: "", fate: "deleted" };
    const messages = chunk!.messages.map((m) => (m === message ? erased : m));
    this.chunks = this.chunks.with(at, { id: chunk!.id, messages });
    this.#chars -= message.text.length;
    return true;
  }

  /** Older messages, ascending. @param more whether the server has still older ones */
  prepend(messages: readonly Message[], more: boolean): void {
    const first = this.first?.seq ?? Infinity;
    const older = messages.filter(({ seq }) => seq < first);
    const chunks: Chunk[] = [];
    for (let at = 0; at < older.length; at += CHUNK_MESSAGES)
      chunks.push(this.#chunk(older.slice(at, at + CHUNK_MESSAGES)));
    this.chunks = [...chunks, ...this.chunks];
    this.#count(older, 1);
    this.moreBefore = more;
    this.#dropNewest();
  }

  /** Newer messages, ascending, for a run that ends before the newest. */
  appendPage(messages: readonly Message[], more: boolean): void {
    const last = this.last?.seq ?? 0;
    this.moreAfter = more;
    this.#push(messages.filter(({ seq }) => seq > last));
    this.#dropOldest();
  }

  /**
   * The latest messages, ascending. Live ones that are newer stay.
   * @param more whether the server has older ones
   */
  reset(messages: readonly Message[], more: boolean): void {
    const newest = messages.at(-1)?.seq ?? 0;
    const live = this.moreAfter
      ? []
      : this.chunks.flatMap((chunk) =>
          chunk.messages.filter(({ seq }) => seq > newest),
        );
    this.clear();
    this.moreBefore = more;
    this.#push([...messages, ...live]);
    this.#dropOldest();
  }

  clear(): void {
    this.chunks = [];
    this.count = 0;
    this.#chars = 0;
    this.moreBefore = false;
    this.moreAfter = false;
  }

  /** Other limits from here on: a room that is not looked at holds less. */
  limit(limits: TimelineLimits): void {
    this.limits = limits;
    this.#dropOldest();
  }

  #isFull(): boolean {
    return (
      this.count >= this.limits.messages || this.#chars >= this.limits.chars
    );
  }

  #isOver(): boolean {
    return this.count > this.limits.messages || this.#chars > this.limits.chars;
  }

  #chunk(messages: readonly Message[]): Chunk {
    return { id: this.#nextId++, messages };
  }

  #count(messages: readonly Message[], sign: 1 | -1): void {
    this.count += sign * messages.length;
    for (const { text } of messages) this.#chars += sign * text.length;
  }

  #push(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const chunks = [...this.chunks];
    let at = 0;
    const last = chunks.at(-1);
    if (last && last.messages.length < CHUNK_MESSAGES) {
      at = CHUNK_MESSAGES - last.messages.length;
      chunks[chunks.length - 1] = {
        id: last.id,
        messages: [...last.messages, ...messages.slice(0, at)],
      };
    }
    for (; at < messages.length; at += CHUNK_MESSAGES)
      chunks.push(this.#chunk(messages.slice(at, at + CHUNK_MESSAGES)));
    this.chunks = chunks;
    this.#count(messages, 1);
  }

  #dropOldest(): void {
    let drop = 0;
    for (; this.#isOver() && drop < this.chunks.length - 1; drop++)
      this.#count(this.chunks[drop]!.messages, -1);
    if (drop === 0) return;
    this.chunks = this.chunks.slice(drop);
    this.moreBefore = true;
  }

  #dropNewest(): void {
    let keep = this.chunks.length;
    for (; this.#isOver() && keep > 1; keep--)
      this.#count(this.chunks[keep - 1]!.messages, -1);
    if (keep === this.chunks.length) return;
    this.chunks = this.chunks.slice(0, keep);
    this.moreAfter = true;
  }
}
