import type { HistoryPage, LogEntry } from "../../client/index.ts";
import type { RoomState } from "./room.ts";
import type { Message } from "./timeline.ts";

const PAGE_MESSAGES = 100;

/** What the loader tells. */
export interface HistoryHooks {
  changed(): void;
  /** The latest messages of a room are here: what follows from them is up to the page. */
  latest(room: RoomState, messages: readonly Message[], more: boolean): void;
  failed(room: RoomState, error: unknown): void;
}

/** Fetches parts of rooms' logs. A room asks for one page of each kind at a time; answers that come too late are dropped. */
export class HistoryLoader {
  constructor(private readonly hooks: HistoryHooks) {}

  async loadLatest(room: RoomState): Promise<void> {
    const from = room.room;
    if (!from || room.loaded === "loading") return;
    room.loaded = "loading";
    this.hooks.changed();
    try {
      const page = await from.history({ limit: PAGE_MESSAGES });
      if (room.room !== from || room.loaded !== "loading") return;
      this.hooks.latest(room, messagesOf(page), page.more);
    } catch (error) {
      if (room.loaded === "loading") room.loaded = "failed";
      this.hooks.failed(room, error);
    }
    this.hooks.changed();
  }

  async loadOlder(room: RoomState): Promise<void> {
    const { timeline } = room;
    const first = timeline.first?.seq;
    if (!room.room || !timeline.moreBefore || room.older === "loading") return;
    room.older = "loading";
    this.hooks.changed();
    try {
      const page = await room.room.history({
        before: first,
        limit: PAGE_MESSAGES,
      });
      if (timeline.first?.seq === first)
        timeline.prepend(messagesOf(page), page.more);
      room.older = "idle";
    } catch {
      room.older = "failed";
    }
    this.hooks.changed();
  }

  async loadNewer(room: RoomState): Promise<void> {
    const { timeline } = room;
    const last = timeline.last?.seq;
    if (!room.room || !timeline.moreAfter || room.newer === "loading") return;
    room.newer = "loading";
    try {
      const page = await room.room.history({
        after: last,
        limit: PAGE_MESSAGES,
      });
      if (timeline.last?.seq === last && timeline.moreAfter)
        timeline.appendPage(messagesOf(page), page.more);
    } catch {
      // The next scroll tries again.
    }
    room.newer = "idle";
    this.hooks.changed();
  }
}

const messagesOf = ({ messages }: HistoryPage): Message[] => messages.map(kept);

/** What the page keeps of an entry of the log. */
export function kept(entry: LogEntry): Message {
  if (entry.action === "receive_message") {
    const { seq, prev, from, user, text, ts, id } = entry;
    return { seq, prev, from, user, text, ts, id };
  }
  const { seq, prev, target, ts } = entry;
  const fate = target === seq ? "deleted" : "notice";
  return { seq, prev, from: "", user: "", text: "", ts, fate };
}
