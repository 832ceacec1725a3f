import type { Msg } from "@nats-io/transport-node";
import { Link, type LinkOptions } from "../broker/nats/link.ts";
import { firstAfter } from "../collections/first-after.ts";
import type { AdmissionCount } from "../gateway/admission.ts";
import type {
  Admission,
  Arrival,
  Directory,
  DirectoryListener,
  Members,
  Place,
  RoomCount,
  Totals,
} from "../gateway/directory.ts";
import { presenceDelay } from "../gateway/presence.ts";
import { Users } from "../gateway/users.ts";
import type { Typing, User } from "../protocol/messages.ts";
import { Answers } from "./answers.ts";
import {
  Commands,
  type Command,
  type CommandHandler,
  type Replies,
} from "./commands.ts";
import { GuestNumbers } from "./guest-numbers.ts";
import { Line } from "./line.ts";
import { NodeRooms } from "./node-rooms.ts";
import { BEAT_MS, Peers } from "./peers.ts";
import type { Tally } from "./replica.ts";
import { Roster } from "./roster.ts";
import type { SanctionLog } from "./sanction-log.ts";
import { SharedState } from "./state.ts";
import { NODE_PATTERN, NodeSubjects } from "./subjects.ts";
import { Syncer } from "./syncer.ts";
import { Teller } from "./teller.ts";
import {
  ONLINE,
  parse,
  whole,
  wholeDiff,
  type Answer,
  type Ask,
  type Beat,
  type CommandMessage,
  type CommandReply,
  type Diff,
  type Hello,
} from "./wire.ts";

export interface NodeOptions extends LinkOptions {
  /** Of the installation, as for the broker. Matches PREFIX_PATTERN. */
  readonly prefix: string;
  /** This node's id, of `newNodeId()`: no other node has or had it. */
  readonly node: string;
  /** Copies of what is kept (`PREFIX-state`). */
  readonly replicas: number;
  /** Silence after which a node counts as dead; below 2.5 s a pause of a beat or two would do. */
  readonly deadAfterMs: number;
}

export const DEAD_AFTER_MS = 2750;

export interface NodeEvents {
  /** Something an operator wants to read. */
  readonly tell: (message: string) => void;
  /** NATS has closed the connection for good: the process must be started anew. */
  readonly onEnd: (reason: string) => void;
  /** Answers what `broadcast` asks, here or at another node. */
  readonly onCommand: CommandHandler;
}

const TICK_MS = 250;
/** How long a new node waits for the others to be heard, and then for their answers, at most. */
const HELLO_MS = 300;
const START_MS = 2000;
const COMMAND_MS = 2000;

/**
 * The directory of several nodes: each tells the others who is at its connections, by versioned diffs over core NATS. What
 * a node lacks it asks for; who is silent is gone. See README.md beside this file.
 */
export class NodeDirectory implements Directory {
  readonly #line: Line;
  readonly #rooms: NodeRooms;
  readonly #peers: Peers;
  readonly #syncer: Syncer;
  readonly #teller: Teller;
  readonly #answers: Answers;
  readonly #commands: Commands;
  readonly #guests: GuestNumbers;
  /** Users online here, and everywhere. */
  readonly #roster = new Roster();
  readonly #online: Users;
  readonly #onlineTally: Tally;
  #onlineDiff: Timer | undefined;
  #connections = 0;
  #beatAt = -Infinity;
  #beatSoon: Timer | undefined;
  readonly #ticks: Timer;
  #closed = false;

  private constructor(
    link: Link,
    private readonly state: SharedState,
    private readonly admission: AdmissionCount,
    listener: DirectoryListener,
    options: NodeOptions,
    events: NodeEvents,
  ) {
    const subjects = new NodeSubjects(options.prefix, options.node);
    this.#line = new Line(
      link,
      subjects,
      () => this.#peers.echo(performance.now()),
      events.tell,
    );
    const line = this.#line;
    this.#guests = new GuestNumbers(state, events.tell);
    this.#online = new Users(this.#guests);
    this.#onlineTally = {
      join: (user) => this.#online.connected(user),
      leave: (user) => this.#online.disconnected(user),
    };
    this.#teller = new Teller(line);
    this.#answers = new Answers(line, this.#teller, (scope) =>
      this.#told(scope),
    );
    this.#peers = new Peers(
      options.deadAfterMs,
      {
        came: (peer) => {
          this.#syncer.syncAll(peer);
          this.beat();
        },
        went: (peer) => this.#syncer.drop(peer),
        gap: (peer) => this.#syncer.syncAll(peer),
        changed: (peer, beat) => this.#syncer.changed(peer, beat),
      },
      performance.now(),
    );
    this.#syncer = new Syncer({
      peers: this.#peers.all,
      tally: (scope) =>
        scope === ONLINE ? this.#onlineTally : this.#rooms.get(scope),
      scopes: () => [ONLINE, ...this.#rooms.names],
      settled: (peer, scope) => this.#rooms.settled(peer, scope),
      send: (peer, ask) =>
        line.send(peer ? subjects.to(peer.id) : subjects.all, ask),
      up: () => line.up,
    });
    this.#rooms = new NodeRooms(
      line,
      this.#teller,
      this.#peers,
      this.#syncer,
      listener,
    );
    this.#commands = new Commands(options.node, events.onCommand, {
      nodes: () => this.#peers.all.keys(),
      sendAll: (message) => line.send(subjects.all, message),
      send: (node, message) => line.send(subjects.to(node), message),
    });
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
  }

  /**
   * Connects, and resolves when the other nodes' users are known, or it would take too long.
   * @throws NatsError NATS is not there, refuses, or has no JetStream
   */
  static async open(
    options: NodeOptions,
    admission: AdmissionCount,
    listener: DirectoryListener,
    events: NodeEvents,
  ): Promise<NodeDirectory> {
    if (!NODE_PATTERN.test(options.node))
      throw new Error(`a node's id matches ${NODE_PATTERN}`);
    let directory: NodeDirectory | undefined;
    const link = await Link.open(options, {
      onUp: () => directory?.beat(),
      onDown: () => {},
      onClosed: (reason) => events.onEnd(`NATS has closed: ${reason}`),
    });
    try {
      const { prefix, replicas } = options;
      const state = await SharedState.open(link, prefix, replicas);
      directory = new NodeDirectory(
        link,
        state,
        admission,
        listener,
        options,
        events,
      );
      await directory.#start();
      return directory;
    } catch (error) {
      await directory?.close();
      await link.close();
      throw error;
    }
  }

  /** Bans and mutes, kept for all nodes. */
  get sanctions(): SanctionLog {
    return this.state.sanctions;
  }

  /**
   * The key that signs guest sessions, the same at all nodes and after a restart of all.
   * @returns 32 bytes
   * @throws Error NATS did not answer
   */
  sharedSessionKey(): Promise<Uint8Array> {
    return this.state.sessionKey();
  }

  admit(address: string, who: Arrival): Admission | Promise<Admission> {
    const refused = this.admission.enter(address);
    if (refused) return refused;
    if (who.kind === "nobody") return { address, user: undefined };
    if (who.kind === "guest" && who.name === undefined) {
      const ready = this.#guests.ready();
      if (ready) return ready.then(() => this.#admitted(address, who));
    }
    return this.#admitted(address, who);
  }

  leave({ address, user }: Place): void {
    this.admission.leave(address);
    if (!user) return;
    this.#connections--;
    this.#online.disconnected(user);
    this.#roster.leave(user);
    this.#onlineChanged();
  }

  get users(): number {
    return this.#online.count;
  }

  /** Ids of users among these that are online, at whichever node. */
  usersOnline(ids: Iterable<string>): Set<string> {
    return new Set([...ids].filter((id) => this.#online.has(id)));
  }

  /** Connections here, and one for each other node that has some. */
  connections(user: string): number {
    return this.#online.connections(user);
  }

  /** Rooms that somebody has entered here, with their users at all nodes. */
  rooms(after: string, limit: number): RoomCount[] {
    const rooms = this.#rooms.counts();
    return firstAfter(rooms, ({ room }) => room, after, limit);
  }

  enter(room: string, { user }: Place): void | Promise<void> {
    return this.#rooms.enter(room, userOf(user));
  }

  exit(room: string, { user }: Place): void {
    this.#rooms.exit(room, userOf(user));
  }

  count(name: string): number {
    return this.#rooms.get(name)?.presence.count ?? 0;
  }

  members(name: string): Members {
    const presence = this.#rooms.get(name)?.presence;
    return { count: presence?.count ?? 0, members: presence?.list() ?? [] };
  }

  membersAfter(name: string, after: string, limit: number): Members {
    const presence = this.#rooms.get(name)?.presence;
    const users = presence?.all() ?? [];
    return {
      count: presence?.count ?? 0,
      members: firstAfter(users, ({ id }) => id, after, limit),
    };
  }

  relay(note: Typing): void {
    this.#rooms.relay(note);
  }

  totals(): Totals {
    let connections = this.#connections;
    for (const peer of this.#peers.all.values())
      connections += peer.connections;
    return { connections, users: this.#online.count };
  }

  get up(): boolean {
    return this.#line.up;
  }

  /** Other nodes that live. */
  get nodes(): string[] {
    return [...this.#peers.all.keys()];
  }

  /**
   * Has all nodes, this one too, handle a command. At most once: what a node misses is not repeated.
   * @throws Error a thousand are under way
   */
  broadcast(command: Command, deadlineMs = COMMAND_MS): Promise<Replies> {
    return this.#commands.broadcast(command, deadlineMs);
  }

  /** Says goodbye: this node's users are gone everywhere at once. Afterwards nothing must be admitted. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#ticks);
    clearTimeout(this.#beatSoon);
    clearTimeout(this.#onlineDiff);
    this.#syncer.close();
    this.#line.deafen();
    this.#rooms.close();
    if (this.#line.up) {
      this.#teller.bye();
      await this.#guests.close();
      await this.#line.flush();
    }
    await this.#line.close();
  }

  async #start(): Promise<void> {
    const line = this.#line;
    const { subjects } = line;
    const others = await line.anybody(HELLO_MS);
    line.hear(subjects.beats, (node, msg) => {
      const beat = whole<Beat>(
        parse<Beat>(msg),
        ["beat", "connections", "upto"],
        ["changed"],
      );
      this.#peers.heard(node, beat, performance.now());
    });
    line.hear(subjects.byes, (node) => this.#peers.gone(node));
    line.hear(subjects.onlines, (node, msg) => {
      const peer = this.#peers.all.get(node);
      if (peer) this.#syncer.diff(peer, ONLINE, wholeDiff(parse<Diff>(msg)));
    });
    line.hear(subjects.alls, (node, msg) => this.#asked(node, msg));
    line.hear(subjects.mine, (node, msg) => this.#asked(node, msg));
    this.beat();
    await Promise.all([this.#guests.ready(), line.flush()]);
    if (!others) return;
    const by = performance.now() + START_MS;
    await Bun.sleep(HELLO_MS);
    // The answers come by events, but this is once in a process's life.
    while (performance.now() < by && this.#unsure()) await Bun.sleep(10);
  }

  #unsure(): boolean {
    for (const peer of this.#peers.all.values())
      if (peer.unsure(ONLINE)) return true;
    return false;
  }

  #asked(node: string, msg: Msg): void {
    const message = parse<Hello & Ask & Answer & CommandMessage & CommandReply>(
      msg,
    );
    if (message.hello) msg.respond();
    else if (message.ask !== undefined)
      this.#answers.add(
        this.#line.subjects.to(node),
        whole<Ask>(message, ["ask"], ["scopes"]),
      );
    else if (message.answer !== undefined) {
      const peer = this.#peers.all.get(node);
      if (peer) this.#syncer.answer(peer, message as Answer, performance.now());
    } else if (message.command !== undefined)
      void this.#commands.received(node, message as CommandMessage);
    else if (message.reply !== undefined)
      this.#commands.replied(node, message as CommandReply);
  }

  #admitted(
    address: string,
    who: Exclude<Arrival, { kind: "nobody" }>,
  ): Admission {
    const user = who.kind === "user" ? who.user : this.#online.guest(who.name);
    this.#connections++;
    this.#online.connected(user);
    this.#roster.join(user);
    this.#onlineChanged();
    return { address, user };
  }

  #onlineChanged(): void {
    this.#onlineDiff ??= setTimeout(
      () => this.#tellOnline(),
      presenceDelay(this.#online.count) / 2,
    );
  }

  #tellOnline(): void {
    clearTimeout(this.#onlineDiff);
    this.#onlineDiff = undefined;
    this.#teller.diff(ONLINE, this.#line.subjects.online, this.#roster);
  }

  /** Whose users are here, after the others were told of all of them. */
  #told(scope: string): Roster | undefined {
    if (scope === ONLINE) this.#tellOnline();
    const roster = scope === ONLINE ? this.#roster : this.#rooms.told(scope);
    return roster && roster.size > 0 ? roster : undefined;
  }

  /** Tells the others that this node lives; made public for the connection, which comes first. */
  private beat(): void {
    // A new node is answered, but not each of many at once.
    const wait = this.#beatAt + BEAT_MS / 10 - performance.now();
    if (wait > 0) {
      this.#beatSoon ??= setTimeout(() => {
        this.#beatSoon = undefined;
        this.beat();
      }, wait);
      return;
    }
    this.#beatAt = performance.now();
    this.#teller.beat(this.#connections);
  }

  #tick(): void {
    const now = performance.now();
    if (now - this.#beatAt >= BEAT_MS - TICK_MS / 2) this.beat();
    this.#peers.tick(now);
    this.#syncer.tick(now);
    this.#rooms.tick(now);
  }
}

function userOf(user: User | undefined): User {
  if (!user) throw new Error("a place without a user is in no room");
  return user;
}
