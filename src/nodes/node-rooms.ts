import type { Msg } from "@nats-io/transport-node";
import type { DirectoryListener, RoomCount } from "../gateway/directory.ts";
import { presenceDelay } from "../gateway/presence.ts";
import type { Typing, User } from "../protocol/messages.ts";
import type { Line } from "./line.ts";
import { NodeRoom } from "./node-room.ts";
import type { Peer, Peers } from "./peers.ts";
import type { Roster } from "./roster.ts";
import type { Syncer } from "./syncer.ts";
import type { Teller } from "./teller.ts";
import {
  isTyping,
  parse,
  wholeDiff,
  type Diff,
  type TypingNote,
} from "./wire.ts";

/** A node that is dead or slow does not hold a join up for longer; a tick may add to it. */
const JOIN_WAIT_MS = 750;

/** Rooms that somebody here has entered, with their users at all nodes. */
export class NodeRooms {
  readonly #rooms = new Map<string, NodeRoom>();
  /** Rooms whose first members wait. */
  readonly #waiting = new Set<NodeRoom>();

  constructor(
    private readonly line: Line,
    private readonly teller: Teller,
    private readonly peers: Peers,
    private readonly syncer: Syncer,
    private readonly listener: DirectoryListener,
  ) {}

  get(name: string): NodeRoom | undefined {
    return this.#rooms.get(name);
  }

  *counts(): Generator<RoomCount> {
    for (const [room, { presence }] of this.#rooms)
      if (presence.count > 0) yield { room, users: presence.count };
  }

  get names(): Iterable<string> {
    return this.#rooms.keys();
  }

  enter(name: string, user: User): void | Promise<void> {
    const room = this.#rooms.get(name) ?? this.#follow(name);
    room.roster.join(user);
    room.presence.join(user);
    this.#changedHere(room);
    return room.ready;
  }

  exit(name: string, user: User): void {
    const room = this.#rooms.get(name);
    if (!room) return;
    room.roster.leave(user);
    room.presence.leave(user);
    this.#changedHere(room);
  }

  relay({ room: name, user, from, active }: Typing): void {
    const room = this.#rooms.get(name);
    if (!room) return;
    for (const { replicas } of this.peers.all.values())
      if (replicas.get(name)?.size) {
        const note: TypingNote = { typing: [user, from, active] };
        this.line.send(room.subject, note);
        return;
      }
  }

  /** Others' users in a room changed, or became known. */
  settled(peer: Peer, name: string): void {
    const room = this.#rooms.get(name);
    if (!room) return;
    if (room.presence.changed) this.#changed(room);
    if (room.ready && !peer.unsure(name)) {
      room.known(peer);
      if (!room.ready) this.#waiting.delete(room);
    }
  }

  /** A room's users here, after the other nodes were told of all of them. */
  told(name: string): Roster | undefined {
    const room = this.#rooms.get(name);
    if (room?.roster.changed) this.#tellOthers(room);
    return room?.roster;
  }

  tick(now: number): void {
    for (const room of this.#waiting)
      if (now >= room.readyBy) {
        this.#waiting.delete(room);
        room.beReady();
      }
  }

  close(): void {
    for (const room of this.#rooms.values()) room.close();
    this.#rooms.clear();
    this.#waiting.clear();
  }

  #follow(name: string): NodeRoom {
    const { subjects } = this.line;
    const subscription = this.line.hear(subjects.rooms(name), (node, msg) =>
      this.#heard(name, node, msg),
    );
    const room = new NodeRoom(name, subjects.room(name), subscription);
    this.#rooms.set(name, room);
    const now = performance.now();
    room.await(this.peers.prompt(now), now + JOIN_WAIT_MS);
    if (room.ready) this.#waiting.add(room);
    // After the subscription: what is not in an answer is heard.
    this.syncer.follow(name);
    return room;
  }

  #heard(name: string, node: string, msg: Msg): void {
    const peer = this.peers.all.get(node);
    const message = parse<Diff & TypingNote>(msg);
    if (!peer) return;
    if (isTyping(message)) {
      const [user, from, active] = message.typing;
      this.listener.note({ action: "typing", room: name, user, from, active });
    } else this.syncer.diff(peer, name, wholeDiff(message));
  }

  #changedHere(room: NodeRoom): void {
    this.#changed(room);
    // Half: with the other nodes' own delay nobody there hears much later than here.
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
    this.teller.diff(room.name, room.subject, room.roster);
    if (room.roster.size > 0) return;
    this.#rooms.delete(room.name);
    this.#waiting.delete(room);
    this.syncer.forget(room.name);
    room.close();
  }
}
