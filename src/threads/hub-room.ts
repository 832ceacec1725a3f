import type { RoomEvent } from "../broker/broker.ts";
import type { Config } from "../config/options.ts";
import { toMessage } from "../gateway/entry.ts";
import { CODECS } from "../protocol/codecs.ts";
import type { LogEntry } from "../protocol/messages.ts";
import type { LinkEvents } from "./link-events.ts";

export const JSON_BIT = 1;
const MSGPACK_BIT = 2;
const TEXT_BIT = 4;

/** What a thread has not been sent, because it fell behind: read and sent once it has caught up. */
interface Missed {
  /** `performance.now()` */
  readonly since: number;
  /** By seq, the thread's own publishes among what was missed. */
  readonly publishes: Map<number, number>;
}

/** A thread with members in a room. */
export class Subscription {
  codecs = JSON_BIT;
  /** Seq of the last event that the thread was sent. */
  sent = 0;
  missed: Missed | undefined;
  /** The thread's fan-out cannot carry what it was sent. */
  overloaded = false;

  constructor(
    readonly number: number,
    readonly room: HubRoom,
    readonly events: LinkEvents,
  ) {}
}

/** A room with members in some thread. */
export class HubRoom {
  /** Seq of the last delivered event. */
  head = 0;
  readonly subscriptions: Subscription[] = [];
  /** Subscriptions, and those under way: while there are any, the room stays. */
  holds = 0;
  /** Settles when the broker delivers this room. */
  ready: Promise<void> = Promise.resolve();

  constructor(readonly name: string) {}

  add(subscription: Subscription): void {
    subscription.sent = this.head;
    this.subscriptions.push(subscription);
  }

  remove(subscription: Subscription): void {
    const at = this.subscriptions.indexOf(subscription);
    if (at >= 0) this.subscriptions.splice(at, 1);
  }

  /**
   * Whether some thread cannot carry what the room receives. What a thread was not sent counts as what waits in a
   * gateway's room.
   */
  overloaded(config: Config, now: number): boolean {
    for (const { overloaded, missed, sent } of this.subscriptions) {
      if (overloaded) return true;
      if (!missed) continue;
      if (this.head - sent >= config.overloadEvents) return true;
      if (now - missed.since >= config.overloadMs) return true;
    }
    return false;
  }
}

/** An event's frames, encoded once for all threads, when the first one needs them. */
export class Frames {
  #message: LogEntry | undefined;
  #json: string | undefined;
  #msgpack: Uint8Array | undefined;
  #text: string | null | undefined;

  /** @param encodes by `codec.index`: raised when it is encoded */
  constructor(
    readonly event: RoomEvent,
    private readonly encodes: number[],
  ) {}

  json(codecs: number): string | undefined {
    // A frame that holds everything there must be: others can be made from it.
    if (!(codecs & JSON_BIT) && codecs & MSGPACK_BIT) return undefined;
    return (this.#json ??= this.#encode(0) as string);
  }

  msgpack(codecs: number): Uint8Array | undefined {
    if (!(codecs & MSGPACK_BIT)) return undefined;
    return (this.#msgpack ??= this.#encode(1) as Uint8Array);
  }

  text(codecs: number): string | undefined {
    if (!(codecs & TEXT_BIT)) return undefined;
    // The format shows no deletion: the thread finds that out by itself.
    return (this.#text ??= this.#encode(2) as string | null) ?? undefined;
  }

  #encode(codec: number): string | Uint8Array | null {
    this.#message ??= toMessage(this.event);
    const frame = CODECS[codec]!.encode(this.#message);
    if (frame !== null) this.encodes[codec]!++;
    return frame;
  }
}
