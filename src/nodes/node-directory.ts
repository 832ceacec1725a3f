import type { Msg, Subscription } from "@nats-io/transport-node";
import { Link, type LinkOptions } from "../broker/nats/link.ts";
import type { AdmissionCount } from "../gateway/admission.ts";
import type {
  Admission,
  Arrival,
  Directory,
  DirectoryListener,
  Members,
  Place,
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
import { NodeRoom } from "./node-room.ts";
import { BEAT_MS, Peers, type Peer } from "./peers.ts";
import type { Tally } from "./replica.ts";
import { Roster } from "./roster.ts";
import { SharedState } from "./state.ts";
import { NODE_PATTERN, NodeSubjects } from "./subjects.ts";
import { Syncer } from "./syncer.ts";
import { Teller } from "./teller.ts";
import {
  isTyping,
  ONLINE,
  parse,
  type Answer,
  type Ask,
  type Beat,
  type CommandMessage,
  type CommandReply,
  type Diff,
  type Hello,
  type TypingNote,
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
/** A node that is dead or slow does not hold a join up for longer. */
const JOIN_WAIT_MS = 750;
/** How long a new node waits for the others to be heard, and then for their answers, at most. */
const HELLO_MS = 300;
const START_MS = 2000;
const COMMAND_MS = 2000;

/**
 * The directory of several nodes: each tells the others who is at its connections, by versioned diffs over core NATS. What
 * a node lacks it asks for; who is silent is gone. See README.md beside this file.
 */
export class NodeDirectory implements Directory {
  readonly #rooms = new Map<string, NodeRoom>();
  /** Rooms whose first members wait. */
  readonly #waiting = new Set<NodeRoom>();
  readonly #peers: Peers;
  readonly #syncer: Syncer;
  readonly #teller: Teller;
  readonly #answers: Answers;
  readonly #commands: Commands;
  readonly #guests: GuestNumbers;
  readonly #subjects: NodeSubjects;
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
    private readonly link: Link,
    private readonly state: SharedState,
    private readonly admission: AdmissionCount,
    private readonly listener: DirectoryListener,
    options: NodeOptions,
    events: NodeEvents,
  ) {
    const subjects = new NodeSubjects(options.prefix, options.node);
    this.#subjects = subjects;
    this.#guests = new GuestNumbers(state, events.tell);
    this.#online = new Users(this.#guests);
    this.#onlineTally = {
      join: (user) => this.#online.connected(user),
      leave: (user) => this.#online.disconnected(user),
    };
    this.#teller = new Teller(link, subjects);
    this.#answers = new Answers(link, this.#teller, (scope) =>
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
      scopes: () => [ONLINE, ...this.#rooms.keys()],
      settled: (peer, scope) => this.#settled(peer, scope),
      send: (peer, ask) =>
        this.#teller.send(peer ? subjects.to(peer.id) : subjects.all, ask),
      up: () => link.up,
    });
    this.#commands = new Commands(options.node, events.onCommand, {
      nodes: () => this.#peers.all.keys(),
      sendAll: (message) => this.#teller.send(subjects.all, message),
      send: (node, message) => this.#teller.send(subjects.to(node), message),
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

  enter(name: string, { user }: Place): void | Promise<void> {
    const here = userOf(user);
    const room = this.#rooms.get(name) ?? this.#follow(name);
    room.roster.join(here);
    room.presence.join(here);
    this.#changedHere(room);
    return room.ready;
  }

  exit(name: string, { user }: Place): void {
    const here = userOf(user);
    const room = this.#rooms.get(name);
    if (!room) return;
    room.roster.leave(here);
    room.presence.leave(here);
    this.#changedHere(room);
  }

  count(name: string): number {
    return this.#rooms.get(name)?.presence.count ?? 0;
  }

  members(name: string): Members {
    const presence = this.#rooms.get(name)?.presence;
    return { count: presence?.count ?? 0, members: presence?.list() ?? [] };
  }

  relay({ room: name, user, from, active }: Typing): void {
    const room = this.#rooms.get(name);
    if (!room) return;
    for (const { replicas } of this.#peers.all.values())
      if (replicas.get(name)?.size) {
        const note: TypingNote = { typing: [user, from, active] };
        this.#teller.send(room.subject, note);
        return;
      }
  }

  totals(): Totals {
    let connections = this.#connections;
    for (const peer of this.#peers.all.values())
      connections += peer.connections;
    return { connections, users: this.#online.count };
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
    for (const room of this.#rooms.values()) room.close();
    this.#rooms.clear();
    if (this.link.up) {
      this.#teller.bye();
      await this.#guests.close();
      await this.link.flush().catch(() => {});
    }
    await this.link.close();
  }

  async #start(): Promise<void> {
    const { link } = this;
    const subjects = this.#subjects;
    // Nobody hears it: this is the first node, and need not wait for others.
    let alone = false;
    const hello: Hello = { hello: true };
    await link
      .request(subjects.all, hello, () => true, HELLO_MS)
      .catch((error: Error) => (alone = /nobody/.test(error.message)));
    this.#hear(subjects.beats, (node, msg) => {
      const beat = parse<Beat>(msg);
      if (beat?.beat !== undefined)
        this.#peers.heard(node, beat as Beat, performance.now());
    });
    this.#hear(subjects.byes, (node) => this.#peers.gone(node));
    this.#hear(subjects.onlines, (node, msg) => {
      const peer = this.#peers.all.get(node);
      const diff = parse<Diff>(msg);
      if (peer && diff) this.#syncer.diff(peer, ONLINE, diff as Diff);
    });
    this.#hear(subjects.alls, (node, msg) => this.#asked(node, msg));
    this.#hear(subjects.mine, (node, msg) => this.#asked(node, msg));
    this.beat();
    await Promise.all([this.#guests.ready(), link.flush()]);
    if (alone) return;
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

  /** @param take is not given what this node says itself */
  #hear(
    subject: string,
    take: (node: string, msg: Msg) => void,
  ): Subscription | undefined {
    if (this.link.nc.isClosed()) return undefined;
    const { node, beat } = this.#subjects;
    return this.link.subscribe(subject, (msg) => {
      const from = NodeSubjects.sender(msg.subject);
      if (this.#closed) return;
      if (from !== node) take(from, msg);
      else if (msg.subject === beat) this.#peers.echo(performance.now());
    });
  }

  #asked(node: string, msg: Msg): void {
    const message = parse<Hello & Ask & Answer & CommandMessage & CommandReply>(
      msg,
    );
    if (!message) return;
    if (message.hello) msg.respond();
    else if (message.ask !== undefined)
      this.#answers.add(this.#subjects.to(node), message as Ask);
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

  #follow(name: string): NodeRoom {
    const subject = this.#subjects.room(name);
    const subscription = this.#hear(this.#subjects.rooms(name), (node, msg) =>
      this.#heard(name, node, msg),
    );
    const room = new NodeRoom(name, subject, subscription);
    this.#rooms.set(name, room);
    const now = performance.now();
    room.await(this.#peers.prompt(now), now + JOIN_WAIT_MS);
    if (room.ready) this.#waiting.add(room);
    // After the subscription: what is not in an answer is heard.
    this.#syncer.follow(name);
    return room;
  }

  #forget(room: NodeRoom): void {
    this.#rooms.delete(room.name);
    this.#waiting.delete(room);
    this.#syncer.forget(room.name);
    room.close();
  }

  #heard(name: string, node: string, msg: Msg): void {
    const peer = this.#peers.all.get(node);
    const message = parse<Diff & TypingNote>(msg);
    if (!peer || !message) return;
    if (isTyping(message)) {
      const [user, from, active] = message.typing;
      this.listener.note({ action: "typing", room: name, user, from, active });
    } else this.#syncer.diff(peer, name, message as Diff);
  }

  /** Others' users in a scope changed, or became known. */
  #settled(peer: Peer, scope: string): void {
    const room = this.#rooms.get(scope);
    if (!room) return;
    if (room.presence.changed) this.#changed(room);
    if (room.ready && !peer.unsure(scope)) {
      room.known(peer);
      if (!room.ready) this.#waiting.delete(room);
    }
  }

  #changedHere(room: NodeRoom): void {
    this.#changed(room);
    // Half, so that with the other half there nobody hears much later than at one node.
    room.diff ??= setTimeout(
      () => this.#tellOthers(room),
      presenceDelay(room.presence.count) / 2,
    );
  }

  /** Tells the connections here, after a while: changes that come together leave together. */
  #changed(room: NodeRoom): void {
    room.tell ??= setTimeout(() => {
      room.tell = undefined;
      const change = room.presence.take();
      if (change && room.roster.size > 0)
        this.listener.presenceChanged(room.name, change);
    }, presenceDelay(room.presence.count));
  }

  #tellOthers(room: NodeRoom): void {
    clearTimeout(room.diff);
    room.diff = undefined;
    this.#teller.diff(room.name, room.subject, room.roster);
    if (room.roster.size === 0) this.#forget(room);
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
    this.#teller.diff(ONLINE, this.#subjects.online, this.#roster);
  }

  /** Whose users are here, after the others were told of all of them. */
  #told(scope: string): Roster | undefined {
    if (scope === ONLINE) this.#tellOnline();
    const room = this.#rooms.get(scope);
    if (room?.roster.changed) this.#tellOthers(room);
    const roster = scope === ONLINE ? this.#roster : room?.roster;
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
    for (const room of this.#waiting)
      if (now >= room.readyBy) {
        this.#waiting.delete(room);
        room.beReady();
      }
  }
}

function userOf(user: User | undefined): User {
  if (!user) throw new Error("a place without a user is in no room");
  return user;
}
