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
  type Welcome,
} from "../protocol/messages.ts";
import type { Connection, Peer } from "./connection.ts";
import { noteEntry, type Origin } from "./entry.ts";
import { acknowledge, Fanout, type Publish } from "./fanout.ts";
import { Meter } from "./meter.ts";
import { presenceDelay } from "./presence.ts";
import { Recall } from "./recall.ts";
import { Rooms, type Membership, type Room } from "./room.ts";
import type { Users } from "./users.ts";

const DAY_MS = 86_400_000;

/** What connections share: the rooms, the way to the broker, and the fan-out. Knows nothing of HTTP. */
export class Gateway {
  readonly rooms: Rooms;
  readonly fanout: Fanout;
  readonly recall: Recall;
  readonly meter: Meter;
  readonly connections = new Set<Connection>();
  /** All sockets, also those of `/echo`. */
  readonly peers = new Set<Peer>();
  readonly #limits: Limits;

  constructor(
    readonly config: Config,
    readonly broker: Broker<Origin>,
    readonly users: Users,
    publish: Publish,
  ) {
    this.rooms = new Rooms(config, broker);
    this.fanout = new Fanout(
      publish,
      () => broker.epoch,
      (room) => this.rooms.settle(room),
    );
    this.recall = new Recall(
      broker,
      config.maxReplyBytes,
      config.retentionDays * DAY_MS,
    );
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
    if (room) this.fanout.deliver(room, event, origin);
  };

  /**
   * What a publish ended with. A new event's ack leaves with the event; a repeat's moves no position, so that it needs
   * to wait for no turn.
   */
  readonly published: Done<Origin> = (draft, { connection, ref }, outcome) => {
    // It is in memory: a publish under way keeps it there.
    const room = this.rooms.get(draft.room)!;
    room.publishing--;
    connection.publishing--;
    if (outcome instanceof BrokerError)
      connection.send({
        action: "error",
        ref,
        code: outcome.code,
        message: outcome.message,
        retry_after_ms: outcome.retryAfterMs,
      });
    else if (outcome.duplicate)
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
    this.rooms.settle(room);
  };

  /** @param session the token that gives a guest the same user back */
  connected(connection: Connection, session: string | undefined): void {
    this.connections.add(connection);
    this.peers.add(connection);
    this.users.connected(connection.user);
    const welcome: Welcome = {
      action: "welcome",
      version: PROTOCOL_VERSION,
      connection: connection.id,
      user: connection.user,
      ...(session === undefined ? {} : { session }),
      users: this.users.count,
      ping_interval_ms: this.config.pingIntervalMs,
      limits: this.#limits,
    };
    connection.send(welcome);
  }

  disconnected(connection: Connection): void {
    connection.closed = true;
    for (const membership of connection.memberships.values())
      this.leave(connection, membership);
    this.users.disconnected(connection.user);
    this.connections.delete(connection);
    this.peers.delete(connection);
  }

  leave(connection: Connection, membership: Membership): void {
    const { room } = membership;
    room.remove(connection, membership);
    room.presence.leave(connection.user);
    this.presenceChanged(room);
    this.rooms.release(room);
  }

  /** Tells the members, after a while: changes that come together leave together. */
  presenceChanged(room: Room): void {
    if (room.presenceTimer !== undefined) return;
    room.presenceTimer = setTimeout(() => {
      room.presenceTimer = undefined;
      const change = room.presence.take();
      if (!change || change.count === 0) return;
      const { joined, left, count } = change;
      const detail =
        count <= this.config.presenceDetailUsers ? { joined, left } : {};
      this.fanout.push(
        room,
        noteEntry(
          { action: "members_changed", room: room.name, ...detail, count },
          performance.now(),
        ),
      );
    }, presenceDelay(room.presence.count));
  }
}
