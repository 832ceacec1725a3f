import type { Ack, Room } from "../../client/index.ts";
import type { User } from "../../protocol/messages.ts";
import { Timeline, type Message } from "./timeline.ts";

/** A message of ours that the log does not show yet. */
export interface Outgoing {
  /** The idempotency key: trying again cannot store it twice. */
  readonly id: string;
  readonly text: string;
  /** ms since 1970 */
  readonly ts: number;
  readonly state: "pending" | "failed" | "sent";
  /** Of a failed one, for people. */
  readonly problem?: string | undefined;
  /** Of a sent one: it goes when the log has come that far. */
  readonly seq?: number | undefined;
}

export interface Typist {
  readonly name: string;
  /** ms since 1970 */
  readonly until: number;
}

/** Held for the room that is open: about 10 MB of texts at most. */
const OPEN = { messages: 12_000, chars: 5_000_000 };
/** Held for each other room: enough to open it without waiting. */
const ASIDE = { messages: 150, chars: 150_000 };
const MAX_OUTGOING = 200;
const MAX_TYPISTS = 50;
const TYPING_MS = 6_000;

/** One room as the page shows it. Knows nothing of the screen; the time is passed in. */
export class RoomState {
  readonly timeline = new Timeline(ASIDE);
  outgoing: readonly Outgoing[] = [];
  /** Messages written here so far: who writes wants to see it, also where the log shows it before the next look. */
  written = 0;
  status: "joining" | "joined" | "failed" = "joining";
  /** Why it failed, for people. */
  problem: string | undefined;
  /** Of the log's latest part, which is fetched on joining and after a loss. */
  loaded: "no" | "loading" | "yes" | "failed" = "no";
  older: "idle" | "loading" | "failed" = "idle";
  newer: "idle" | "loading" = "idle";
  members: readonly User[] | undefined;
  count = 0;
  typists: ReadonlyMap<string, Typist> = new Map();
  unread = 0;
  /** There are more unread than were counted. */
  unreadMore = false;
  /** The seq after which a line says "New". */
  divider: number | undefined;
  draft = "";
  /** The newest seq that was delivered, shown or not. */
  newest = 0;
  /** The seq up to which everything was read; undefined before the first look. */
  read: number | undefined;
  /** What was last given to be remembered of `read`. */
  remembered: number | undefined;
  /** The client's side; undefined where joining failed. */
  room: Room | undefined;

  constructor(readonly name: string) {}

  open(): void {
    this.timeline.limit(OPEN);
    this.divider = this.unread > 0 ? this.read : undefined;
  }

  /** @returns whether its latest messages have to be fetched before it is opened again */
  setAside(): void {
    this.divider = undefined;
    this.older = "idle";
    this.newer = "idle";
    if (this.timeline.moreAfter) {
      this.timeline.clear();
      this.loaded = "no";
    }
    this.timeline.limit(ASIDE);
  }

  /**
   * A live message.
   * @param reading somebody looks at older messages of this room
   */
  receive(message: Message, me: string | undefined, reading: boolean): void {
    this.newest = Math.max(this.newest, message.seq);
    this.timeline.append(message, reading);
    if (message.user === me) this.#settled(message);
    else {
      this.unread++;
      this.stopTyping(message.user);
    }
  }

  /** An entry about a deletion: the message's place, or, later in the log, what tells of it. */
  receiveDeletion(entry: Message, target: number, reading: boolean): void {
    this.newest = Math.max(this.newest, entry.seq);
    this.timeline.erase(target);
    this.timeline.append(entry, reading);
  }

  /** The latest messages arrived. @param fresh whether nothing was known of this room: then it counts as read */
  receiveLatest(
    messages: readonly Message[],
    more: boolean,
    me: string | undefined,
  ): void {
    this.timeline.reset(messages, more);
    this.loaded = "yes";
    this.newest = Math.max(this.newest, this.timeline.last?.seq ?? 0);
    this.read ??= messages.at(-1)?.seq ?? 0;
    this.outgoing = this.outgoing.filter(
      ({ state, seq }) => state !== "sent" || seq! > this.newest,
    );
    this.#countUnread(me);
  }

  /** Everything up to the newest was seen. @returns whether that was news */
  markRead(): boolean {
    if (this.loaded !== "yes") return false;
    const changed = this.unread > 0 || this.read !== this.newest;
    this.unread = 0;
    this.unreadMore = false;
    this.read = this.newest;
    return changed;
  }

  /** The server could not recover, or has another history now: what is known of the log is void. */
  forget(): void {
    this.timeline.clear();
    this.loaded = "no";
    this.newest = 0;
    this.read = undefined;
    this.remembered = undefined;
    this.unread = 0;
    this.unreadMore = false;
    this.divider = undefined;
    this.outgoing = this.outgoing.filter(({ state }) => state !== "sent");
  }

  /** Messages that are neither stored nor known to the log. */
  get unsent(): number {
    return this.outgoing.filter(({ state }) => state !== "sent").length;
  }

  /** @returns undefined where too many wait already */
  addOutgoing(id: string, text: string, now: number): Outgoing | undefined {
    if (this.outgoing.length >= MAX_OUTGOING) return undefined;
    const outgoing: Outgoing = { id, text, ts: now, state: "pending" };
    this.outgoing = [...this.outgoing, outgoing];
    this.written++;
    return outgoing;
  }

  acked({ id, seq }: Ack): void {
    if (seq <= this.newest) this.removeOutgoing(id);
    else this.#change(id, { state: "sent", seq });
  }

  failed(id: string, problem: string): void {
    this.#change(id, { state: "failed", problem });
  }

  /** Back to waiting, at the end: it is sent after what waits already. */
  retry(id: string, now: number): Outgoing | undefined {
    const failed = this.outgoing.find((o) => o.id === id);
    if (failed?.state !== "failed") return undefined;
    this.removeOutgoing(id);
    return this.addOutgoing(id, failed.text, now);
  }

  removeOutgoing(id: string): void {
    this.outgoing = this.outgoing.filter((o) => o.id !== id);
  }

  typing(user: string, name: string, active: boolean, now: number): void {
    if (!active) return this.stopTyping(user);
    if (!this.typists.has(user) && this.typists.size >= MAX_TYPISTS) return;
    this.typists = new Map(this.typists).set(user, {
      name,
      until: now + TYPING_MS,
    });
  }

  stopTyping(user: string): void {
    if (!this.typists.has(user)) return;
    const typists = new Map(this.typists);
    typists.delete(user);
    this.typists = typists;
  }

  /** Forgets who has not typed for a while. @returns whether somebody was forgotten */
  expireTyping(now: number): boolean {
    const current = [...this.typists].filter(([, { until }]) => until > now);
    if (current.length === this.typists.size) return false;
    this.typists = new Map(current);
    return true;
  }

  /** Our own message is in the log. */
  #settled(message: Message): void {
    if (message.id !== undefined) this.removeOutgoing(message.id);
    this.outgoing = this.outgoing.filter(
      ({ state, seq }) => state !== "sent" || seq! > message.seq,
    );
  }

  #countUnread(me: string | undefined): void {
    const read = this.read!;
    const shown = this.timeline.chunks.flatMap((chunk) => chunk.messages);
    this.unread = shown.filter(
      (m) => m.seq > read && m.user !== me && !m.fate,
    ).length;
    this.unreadMore =
      this.timeline.moreBefore && (this.timeline.first?.seq ?? 0) > read + 1;
  }

  #change(id: string, change: Partial<Outgoing>): void {
    this.outgoing = this.outgoing.map((o) =>
      o.id === id ? { ...o, ...change } : o,
    );
  }
}
