import type { ServerWebSocket } from "bun";
import type { Access } from "../auth/auth.ts";
import type { Codec, Decoder, Frame } from "../protocol/codec.ts";
import { ProtocolError, type CloseCode } from "../protocol/errors.ts";
import type { ServerMessage, User } from "../protocol/messages.ts";
import { MAX_ROOM_BYTES, checkName, quote } from "../protocol/validate.ts";
import { Bucket, Strikes } from "./bucket.ts";
import type { Place } from "./directory.ts";
import type { Outlet } from "./outlet.ts";
import type { Membership } from "./room.ts";

/** What the socket callbacks call; `ws.data` is one. */
export interface SocketHandler {
  readonly place: Place;
  open(socket: Socket): void;
  message(frame: string | Buffer): void;
  /** A ping or pong came: the peer lives. */
  alive(): void;
  drained(): void;
  /** @param code and `reason` as the peer gave them, or Bun where there was no close frame */
  close(code: number, reason: string): void;
}

export type Socket = ServerWebSocket<SocketHandler>;

export interface Rates {
  readonly messagesPerSecond: number;
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** What every socket has, whatever it speaks: it can be gone, slow, or sent away. */
export interface Peer {
  readonly socket: Socket;
  /** The last sign of life, and the last ping of ours (0: none), as `performance.now()`. */
  readonly seenAt: number;
  pingedAt: number;
  /** Publishes that are not settled. */
  readonly publishing: number;
  /** Asks it to leave and to come back after so many ms. */
  sendAway(afterMs: number): void;
  terminate(code: CloseCode, reason: string): void;
}

/** One WebSocket with one codec and one identity. State and sending; what it asks for is in commands.ts. */
export class Connection implements Peer {
  /** Set by `open`. */
  socket!: Socket;
  closed = false;
  /** Rooms it is in, by name. */
  readonly memberships = new Map<string, Membership>();
  readonly decoder: Decoder;
  // Made when they are first needed: most connections only listen, and memory per connection counts.
  #messages: Bucket | undefined;
  #requests: Bucket | undefined;
  #bytes: Bucket | undefined;
  /** Its user's, once it has sent a message. */
  userMessages: Bucket | undefined;
  #badFrames: Strikes | undefined;
  #limitedFrames: Strikes | undefined;
  /** Publishes that are not settled. */
  publishing = 0;
  seenAt: number;
  pingedAt = 0;
  /** What it was told that it expires. */
  warnedOf: Access | undefined;
  /** Until when its user may send nowhere, as ms since 1970; 0: it may. */
  mutedUntil = 0;

  constructor(
    readonly id: string,
    readonly user: User,
    readonly place: Place,
    /** What it may do; another token of the same user changes it. */
    public access: Access,
    readonly codec: Codec,
    room: string,
    private readonly rates: Rates,
    private readonly outlet: Outlet,
    now: number,
  ) {
    this.decoder = codec.createDecoder(room);
    this.seenAt = now;
  }

  /** @throws ProtocolError not_joined */
  membership(room: string): Membership {
    const membership = this.memberships.get(room);
    if (membership) return membership;
    checkName("room", room, MAX_ROOM_BYTES);
    throw new ProtocolError(
      "not_joined",
      `this connection is not in room ${quote(room)}: join it first`,
    );
  }

  messages(now: number): Bucket {
    const { messagesPerSecond: rate } = this.rates;
    return (this.#messages ??= new Bucket(rate, 2 * rate, now));
  }

  requests(now: number): Bucket {
    const { requestsPerSecond: rate } = this.rates;
    return (this.#requests ??= new Bucket(rate, 4 * rate, now));
  }

  bytes(now: number): Bucket {
    const { bytesPerSecond: rate } = this.rates;
    return (this.#bytes ??= new Bucket(rate, 4 * rate, now));
  }

  /** Counts a bad frame. @returns whether it was one too many */
  badFrame(now: number): boolean {
    return (this.#badFrames ??= new Strikes(20, 10_000)).add(now);
  }

  /** Counts a frame above the rate. @returns whether it was one too many */
  limitedFrame(now: number): boolean {
    return (this.#limitedFrames ??= new Strikes(2_000, 10_000)).add(now);
  }

  send(message: ServerMessage): void {
    const frame = this.codec.encode(message);
    if (frame !== null) this.sendFrame(frame);
  }

  /** Sends so that what waits for this socket in the topic tree goes along in the same write. */
  sendCorked(message: ServerMessage): void {
    if (this.closed) return;
    const frame = this.codec.encode(message);
    if (frame !== null) this.socket.cork(() => this.sendFrame(frame));
  }

  sendFrame(frame: Frame): void {
    if (this.closed) return;
    this.outlet.sent(this.socket.send(frame, false), frame, 1);
  }

  sendAway(afterMs: number): void {
    this.send({ action: "reconnect", after_ms: afterMs });
  }

  terminate(code: CloseCode, reason: string): void {
    if (!this.closed) this.socket.close(code, reason);
  }
}
