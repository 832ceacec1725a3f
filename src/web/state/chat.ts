import {
  RoomcastClient,
  RoomcastError,
  type Limits,
  type Room,
  type User,
} from "../../client/index.ts";
import { refusal } from "../../client/refusal.ts";
import { changed, INITIAL, type ConnectionView } from "./connection.ts";
import { explain } from "./explain.ts";
import { HistoryLoader, kept } from "./history.ts";
import { ReadMarks } from "./read-marks.ts";
import { RoomState } from "./room.ts";
import type { Format, SettingsStore, Theme } from "./settings.ts";
import type { Message } from "./timeline.ts";

export interface Notice {
  readonly id: number;
  readonly text: string;
}

const MAX_NOTICES = 3;
const PING_MS = 10_000;
const FIRST_PING_MS = 1_000;

/**
 * Everything the page shows, and what can be done with it. Views read its fields when it says that something changed. It has no part in
 * the screen but for two facts that it is told: whether the page is visible, and whether the newest message is.
 */
export class Chat {
  readonly rooms = new Map<string, RoomState>();
  active: string | undefined;
  connection: ConnectionView = INITIAL;
  user: User | undefined;
  limits: Limits | undefined;
  notices: readonly Notice[] = [];
  /** Why the server does not take the name; it has to be asked for again. */
  nameProblem: string | undefined;
  /** Called with live messages of others in the active room. */
  onLive: (messages: Message) => void = () => {};
  readonly history = new HistoryLoader({
    changed: () => this.#changed(),
    latest: (room, messages, more) => this.#arrived(room, messages, more),
    failed: (room, error) =>
      this.#failed(error, `The messages of ${room.name} could not be loaded`),
  });
  #client: RoomcastClient | undefined;
  #listeners = new Set<() => void>();
  #offs: (() => void)[] = [];
  #visible = true;
  #atEnd = true;
  readonly #reads: ReadMarks;
  #noticeId = 0;
  #lastPing = 0;
  /** What this connection asked to be called. Another tab may have written another name into the settings. */
  #name = "";
  /** Whether the server has let us in under this name. */
  #nameTaken = false;

  constructor(
    readonly url: string,
    readonly settings: SettingsStore,
    /** For servers that need one. */
    private readonly token?: string,
  ) {
    this.#reads = new ReadMarks(settings);
    setInterval(() => this.#tick(), 1_000);
  }

  /** @returns a function that takes the listener away */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get room(): RoomState | undefined {
    return this.active === undefined ? undefined : this.rooms.get(this.active);
  }

  get unread(): number {
    return [...this.rooms.values()].reduce(
      (sum, { unread }) => sum + unread,
      0,
    );
  }

  /** How messages travel on this connection: another tab may have chosen otherwise for later ones. */
  get format(): Format {
    return this.#client?.format ?? this.settings.current.format;
  }

  /** Whether something that was written here is not stored yet, and would be lost with the page. */
  get waiting(): boolean {
    return [...this.rooms.values()].some((room) => room.unsent > 0);
  }

  /** Connects, and joins what was joined the last time. @param room to open first */
  start(room: string | undefined): void {
    const { rooms, active } = this.settings.current;
    for (const { name } of rooms) this.rooms.set(name, new RoomState(name));
    const first = room ?? active ?? rooms[0]?.name ?? "general";
    this.#connect();
    for (const name of this.rooms.keys()) this.#join(name);
    this.openRoom(first);
  }

  /** A new connection where the last one was closed for good; what is shown stays. */
  restart(): void {
    this.#connect();
    for (const name of this.rooms.keys()) this.#join(name);
    this.#changed();
  }

  retryNow(): void {
    this.#client?.reconnect();
  }

  setFormat(format: Format): void {
    this.settings.update((s) => ({ ...s, format }));
    this.#client?.reconnect({ format });
    this.#changed();
  }

  setTheme(theme: Theme): void {
    this.settings.update((s) => ({ ...s, theme }));
    this.#changed();
  }

  /** @param name empty: the server gives one */
  setName(name: string): void {
    const { name: stored, session } = this.settings.current;
    const before = this.#client ? this.#name : stored;
    this.nameProblem = undefined;
    if (name === before && (session !== undefined || this.#client)) {
      this.#changed();
      return;
    }
    this.#nameTaken = false;
    this.#name = name;
    // The session belongs to the old name.
    this.settings.update((s) => ({ ...s, name, session: undefined }));
    if (name === "" && this.#client) this.restart();
    else this.#client?.reconnect({ name });
    this.#changed();
  }

  openRoom(name: string): void {
    if (!this.rooms.has(name)) {
      this.rooms.set(name, new RoomState(name));
      this.#join(name);
    }
    if (this.active !== name) {
      this.room?.setAside();
      this.active = name;
      this.room!.open();
      this.#atEnd = this.room!.divider === undefined;
      this.settings.update((s) => ({ ...s, active: name }));
    }
    const room = this.room!;
    if (room.status === "failed") this.#join(name);
    // Otherwise it is loaded when it is joined.
    else if (room.status === "joined" && room.loaded !== "yes")
      void this.history.loadLatest(room);
    void this.#loadMembers(room);
    this.#seen();
    this.#changed();
  }

  leaveRoom(name: string): void {
    const room = this.rooms.get(name);
    if (!room) return;
    if (room.unsent > 0)
      this.notify(
        `You left ${name} before ${room.unsent === 1 ? "a message" : `${room.unsent} messages`} could be sent.`,
      );
    this.rooms.delete(name);
    this.settings.forgetRoom(name);
    // Without an answer the room is gone all the same: nothing of it is shown any more.
    room.room?.leave().catch(() => {});
    if (this.active === name) {
      this.active = undefined;
      const next = this.rooms.keys().next().value;
      if (next !== undefined) this.openRoom(next);
    }
    this.#changed();
  }

  send(room: RoomState, text: string): boolean {
    const outgoing = room.addOutgoing(
      crypto.getRandomValues(new Uint32Array(4)).join("-"),
      text,
      Date.now(),
    );
    if (!outgoing) {
      this.notify("Too many messages wait to be sent. Try again later.");
      return false;
    }
    this.#transmit(room, outgoing.id, text);
    return true;
  }

  retry(room: RoomState, id: string): void {
    const outgoing = room.retry(id, Date.now());
    if (outgoing) this.#transmit(room, id, outgoing.text);
  }

  discard(room: RoomState, id: string): void {
    room.removeOutgoing(id);
    this.#changed();
  }

  typing(room: RoomState, active: boolean): void {
    room.room?.typing(active);
  }

  /** The view tells where the reader is. */
  setAtEnd(atEnd: boolean): void {
    if (this.#atEnd === atEnd) return;
    this.#atEnd = atEnd;
    if (this.#seen()) this.#changed();
  }

  setVisible(visible: boolean): void {
    this.#visible = visible;
    const { room } = this;
    if (visible && room && room.unread > 0) room.divider = room.read;
    if (this.#seen() || visible) this.#changed();
    if (!visible) this.#reads.save();
  }

  notify(text: string): void {
    const notice = { id: this.#noticeId++, text };
    this.notices = [...this.notices, notice].slice(-MAX_NOTICES);
    this.#changed();
  }

  dismiss(id: number): void {
    this.notices = this.notices.filter((notice) => notice.id !== id);
    this.#changed();
  }

  #connect(): void {
    for (const off of this.#offs) off();
    void this.#client?.close();
    const { name, session, format } = this.settings.current;
    const client = new RoomcastClient(this.url, {
      format,
      name: name || undefined,
      session,
      token: this.token,
    });
    this.#client = client;
    this.#name = name ?? "";
    this.connection = { ...INITIAL, wasOpen: this.connection.wasOpen };
    this.#offs = [
      client.on("state", (change) => {
        this.connection = changed(this.connection, change, Date.now());
        if (change.retryInMs !== undefined) void this.#askWhy(client);
        this.#changed();
      }),
      client.on("welcome", ({ user, limits, session: given }) => {
        this.user = user;
        this.limits = limits;
        this.nameProblem = undefined;
        this.#nameTaken = true;
        // Beside another tab's new name it would make one person of two.
        this.settings.update((s) =>
          (s.name ?? "") === this.#name
            ? { ...s, session: given ?? s.session }
            : s,
        );
        // The first answers come while the page is still busy: they would tell more of it than of the way.
        this.#lastPing = Date.now() - PING_MS + FIRST_PING_MS;
        this.#changed();
      }),
      client.on("roundtrip", (roundTripMs) => {
        this.connection = { ...this.connection, roundTripMs };
        this.#changed();
      }),
      client.on("error", (error) => this.notify(explain(error))),
    ];
  }

  /** A name that the server does not allow looks like an outage otherwise, and so does a token. */
  async #askWhy(client: RoomcastClient): Promise<void> {
    const { token } = this;
    const { name, format } = this.settings.current;
    const nameMayBeWrong =
      name && !this.#nameTaken && this.nameProblem === undefined;
    if (!nameMayBeWrong && !token) return;
    const refused = await refusal(this.url, { name, token, format });
    if (!refused || client !== this.#client || client.state === "open") return;
    if (refused.status !== 400) this.#giveUp(client, refused.message);
    else if (nameMayBeWrong) this.nameProblem = refused.message;
    this.#changed();
  }

  /** Until somebody wants to try again. */
  #giveUp(client: RoomcastClient, reason: string): void {
    for (const off of this.#offs.splice(0)) off();
    void client.close();
    const change = { state: "closed", reason } as const;
    this.connection = changed(this.connection, change, Date.now());
  }

  #join(name: string): void {
    const state = this.rooms.get(name)!;
    const client = this.#client!;
    state.status = "joining";
    state.problem = undefined;
    state.loaded = "no";
    const joining = client.join(name);
    const room = client.rooms.get(name);
    if (room) this.#attach(state, room);
    joining.then(
      (joined) => {
        if (this.rooms.get(name) !== state || this.#client !== client) return;
        if (state.room !== joined) this.#attach(state, joined);
        this.settings.saveRoom(name);
      },
      (error) => {
        if (this.rooms.get(name) !== state || this.#client !== client) return;
        state.status = "failed";
        state.problem = explain(error);
        state.room = undefined;
        this.#changed();
      },
    );
  }

  #attach(state: RoomState, room: Room): void {
    state.room = room;
    const current = (): boolean => state.room === room;
    room.on("joined", ({ count }) => {
      if (!current()) return;
      state.status = "joined";
      state.count = count;
      // Also after a reconnect: who came and went meanwhile was told to nobody here.
      if (state.name === this.active) void this.#loadMembers(state);
      if (state.loaded === "no" || state.loaded === "failed")
        void this.history.loadLatest(state);
      this.#changed();
    });
    room.on("reset", ({ count }) => {
      if (!current()) return;
      state.count = count;
      state.forget();
      void this.history.loadLatest(state);
      // Once, for the room that is looked at: it happens to all of them together.
      if (state.name === this.active)
        this.notify(
          `The server has another history of ${state.name} now: it was loaded again.`,
        );
    });
    room.on("message", (message) => {
      if (!current()) return;
      const active = state.name === this.active;
      state.receive(kept(message), this.user?.id, active && !this.#atEnd);
      if (active && this.#visible && message.user !== this.user?.id)
        this.onLive(message);
      if (active) this.#seen();
      this.#changed();
    });
    room.on("deleted", (entry) => {
      if (!current()) return;
      const active = state.name === this.active;
      state.receiveDeletion(kept(entry), entry.target, active && !this.#atEnd);
      if (active) this.#seen();
      this.#changed();
    });
    room.on("members", ({ count, users }) => {
      if (!current()) return;
      state.count = count;
      if (users) state.members = users;
      this.#changed();
    });
    room.on("typing", ({ user, from, active }) => {
      if (!current() || user === this.user?.id) return;
      state.typing(user, from, active, Date.now());
      this.#changed();
    });
    room.on("left", (error) => {
      // With the connection closed, its state tells it, and what is shown stays.
      if (!current() || !error || error.code === "closed") return;
      state.status = "failed";
      state.problem = explain(error);
      state.room = undefined;
      this.#changed();
    });
  }

  async #loadMembers(room: RoomState): Promise<void> {
    const from = room.room;
    if (!from || room.status !== "joined") return;
    try {
      const { count, members } = await from.members();
      if (room.room !== from) return;
      room.count = count;
      room.members = members;
      this.#changed();
    } catch {
      // It is asked again when the room is joined again or opened.
    }
  }

  #transmit(room: RoomState, id: string, text: string): void {
    this.#changed();
    if (!room.room) {
      room.failed(id, room.problem ?? "You are not in this room.");
      return;
    }
    room.room.send(text, { id }).then(
      (ack) => {
        room.acked(ack);
        this.#changed();
      },
      (error) => {
        room.failed(id, explain(error));
        this.#changed();
      },
    );
  }

  /** The reader sees the newest message of the active room. @returns whether that changed anything */
  #seen(): boolean {
    const { room } = this;
    if (!room || !this.#visible || !this.#atEnd) return false;
    if (room.timeline.moreAfter) return false;
    const news = room.markRead();
    this.#reads.remember(room);
    return news;
  }

  #arrived(room: RoomState, messages: readonly Message[], more: boolean): void {
    room.read ??= this.#reads.of(room);
    room.receiveLatest(messages, more, this.user?.id);
    if (room === this.room && room.unread > 0) {
      // Not seen until the view has found its place and says so.
      room.divider = room.read;
      this.#atEnd = false;
    }
    this.#seen();
  }

  #failed(error: unknown, what: string): void {
    // Told elsewhere: a room that was left, a connection that was closed.
    const { code } = error as RoomcastError;
    if (code !== "left" && code !== "closed")
      this.notify(`${what}: ${explain(error)}`);
  }

  #tick(): void {
    const now = Date.now();
    const { room } = this;
    if (room?.expireTyping(now)) this.#changed();
    if (this.connection.retryAt !== undefined) this.#changed();
    const due = this.#visible && now - this.#lastPing >= PING_MS;
    if (due && this.connection.state === "open") {
      this.#lastPing = now;
      this.#client?.ping().catch(() => {});
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
