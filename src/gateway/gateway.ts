import type { Auth } from "../auth/auth.ts";
import {
  BrokerError,
  type Broker,
  type Deliver,
  type Done,
} from "../broker/broker.ts";
import type { Config } from "../config/options.ts";
import {
  PROTOCOL_VERSION,
  type Limits,
  type MembersChanged,
  type Typing,
  type Welcome,
} from "../protocol/messages.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { GatewayStats } from "../stats/gateway-stats.ts";
import type { Logger } from "../logging/logger.ts";
import type { Connection, Peer } from "./connection.ts";
import type { Directory, PresenceTold } from "./directory.ts";
import { eventEntry, noteEntry, type Entry, type Origin } from "./entry.ts";
import { acknowledge, Fanout, type Publish } from "./fanout.ts";
import { Meter } from "./meter.ts";
import { BANNED, carryOut, type Order, type Reach } from "./orders.ts";
import { Outlet } from "./outlet.ts";
import { Recall } from "./recall.ts";
import { UserRates } from "./user-rates.ts";
import { Sanctions } from "./sanctions.ts";
import { Rooms, type Membership, type Room } from "./room.ts";

const DAY_MS = 86_400_000;

/** What connections share: the rooms, the way to the broker, and the fan-out. Knows nothing of HTTP. */
export class Gateway implements Reach {
  readonly rooms: Rooms;
  readonly fanout: Fanout;
  readonly recall: Recall;
  readonly meter: Meter;
  /** Who may not be here, or not send. Filled and changed by whoever makes the gateway, and by orders. */
  readonly sanctions = new Sanctions();
  readonly connections = new Set<Connection>();
  /** All sockets, also those of `/echo`. */
  readonly peers = new Set<Peer>();
  readonly userRates: UserRates;
  readonly stats = new GatewayStats();
  readonly outlet: Outlet;
  readonly #limits: Limits;

  constructor(
    readonly config: Config,
    readonly broker: Broker<Origin>,
    readonly directory: Directory,
    readonly auth: Auth,
    publish: Publish,
    readonly logger: Logger,
  ) {
    this.outlet = new Outlet(
      this.stats,
      this.peers,
      config.backpressureLimitBytes,
    );
    this.rooms = new Rooms(config, broker);
    this.fanout = new Fanout(
      publish,
      this.outlet,
      () => broker.epoch,
      (room) => this.rooms.settle(room),
    );
    this.recall = new Recall(
      broker,
      config.maxReplyBytes,
      config.retentionDays * DAY_MS,
      this.stats.encodes,
    );
    this.userRates = new UserRates(config.maxMessagesPerSecondPerUser);
    this.meter = new Meter(config.replyBytesPerTurn);
    const told = (limit: number): number => (limit === Infinity ? 0 : limit);
    this.#limits = {
      max_frame_bytes: told(config.maxFrameBytes),
      max_text_bytes: told(config.maxTextBytes),
      max_data_bytes: told(config.maxDataBytes),
      max_rooms_per_connection: told(config.maxRoomsPerConnection),
      max_messages_per_second: told(config.maxMessagesPerSecond),
      max_history_per_reply: config.maxHistoryPerReply,
    };
  }

  /** The broker's deliver callback. */
  readonly deliver: Deliver<Origin> = (event, origin) => {
    const room = this.rooms.get(event.room);
    if (!room) return;
    if (event.target > 0) this.bury(room, event.target);
    this.fanout.deliver(room, eventEntry(event, performance.now()), origin);
  };

  /**
   * The same for an event that is encoded already.
   * @param target the message that it tells the deletion of; 0 for none
   * @returns the room, if it is in memory
   */
  deliverEntry(
    name: string,
    entry: Entry,
    origin: Origin | undefined,
    target: number,
  ): Room | undefined {
    const room = this.rooms.get(name);
    if (!room) return undefined;
    if (target > 0) this.bury(room, target);
    this.fanout.deliver(room, entry, origin);
    return room;
  }

  /** A message was deleted: nothing that is kept here shows it any more. */
  bury(room: Room, target: number): void {
    this.recall.forget(room);
    room.bury(target);
  }

  /**
   * What a publish ended with. A new event's ack leaves with the event; a repeat's moves no position, so that it needs
   * to wait for no turn.
   */
  readonly published: Done<Origin> = (draft, { connection, ref }, outcome) => {
    // It is in memory: a publish under way keeps it there.
    const room = this.rooms.get(draft.room)!;
    room.publishing--;
    connection.publishing--;
    if (outcome instanceof BrokerError) this.refuse(connection, ref, outcome);
    else if (outcome.duplicate) {
      this.stats.duplicates++;
      acknowledge(connection, {
        action: "message_sent",
        ref,
        room: draft.room,
        id: draft.id,
        seq: outcome.seq,
        epoch: this.broker.epoch,
        ts: outcome.ts,
        duplicate: true,
      });
    } else this.stats.eventsIn++;
    this.rooms.settle(room);
  };

  /** Answers a request with an error frame. @param ref the request's */
  refuse(
    connection: Connection,
    ref: number | undefined,
    error: ProtocolError | BrokerError,
  ): void {
    const { code, message, retryAfterMs } = error;
    this.stats.error(
      code,
      error instanceof ProtocolError ? error.limit : undefined,
    );
    connection.send({
      action: "error",
      ref,
      code,
      message,
      retry_after_ms: retryAfterMs,
    });
  }

  /** @param session the token that gives a guest the same user back */
  connected(connection: Connection, session: string | undefined): void {
    this.stats.connectionsOpened++;
    this.connections.add(connection);
    this.peers.add(connection);
    const welcome: Welcome = {
      action: "welcome",
      version: PROTOCOL_VERSION,
      connection: connection.id,
      user: connection.user,
      ...(session === undefined ? {} : { session }),
      users: this.directory.users,
      ping_interval_ms: this.config.pingIntervalMs,
      limits: this.#limits,
    };
    connection.send(welcome);
    const { id } = connection.user;
    connection.mutedUntil = this.sanctions.until("mute", id, "");
    // One that came while its user was being banned.
    if (this.sanctions.until("ban", id, "") > Date.now())
      connection.terminate(4021, BANNED);
  }

  disconnected(connection: Connection): void {
    connection.closed = true;
    for (const membership of connection.memberships.values())
      this.leave(connection, membership);
    if (connection.userMessages)
      this.userRates.release(connection.user.id, performance.now());
    this.directory.leave(connection.place);
    this.connections.delete(connection);
    this.peers.delete(connection);
  }

  /** Whether a room receives more than its fan-out can carry. */
  overloaded(name: string): boolean {
    const room = this.rooms.get(name);
    return !!room && room.overloaded(performance.now());
  }

  carryOut(order: Order): number {
    return carryOut(this, order);
  }

  leave(connection: Connection, membership: Membership): void {
    const { room } = membership;
    room.remove(connection, membership);
    this.directory.exit(room.name, connection.place);
    this.rooms.release(room);
  }

  /** What the directory tells of a room: those of its members who are here hear of it. */
  presenceChanged(name: string, told: PresenceTold): void {
    const room = this.rooms.get(name);
    if (!room) return;
    this.note(room, this.#membersChanged(name, told));
    room.presenceTold(told.joined);
  }

  /** Tells a new member of its own coming, as the others were told before it had its place. */
  tellArrival(connection: Connection, room: string): void {
    const count = this.directory.count(room);
    const told = { joined: [connection.user], left: [], count };
    connection.send(this.#membersChanged(room, told));
  }

  #membersChanged(
    room: string,
    { joined, left, count }: PresenceTold,
  ): MembersChanged {
    const detail =
      joined && left && count <= this.config.presenceDetailUsers
        ? { joined, left }
        : {};
    return { action: "members_changed", room, ...detail, count };
  }

  /** A note from another gateway: its members here get it, as those there did. */
  noteFromElsewhere(note: Typing): void {
    const room = this.rooms.get(note.room);
    if (room && !room.tooBusyForNotes) this.note(room, note);
  }

  /** Sends a note to the members who are here. @param origin who caused it: it does not get it */
  note(room: Room, message: MembersChanged | Typing, origin?: Origin): void {
    const entry = noteEntry(message, performance.now());
    entry.origin = origin;
    this.fanout.push(room, entry);
  }
}
