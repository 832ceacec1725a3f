import { BrokerError } from "../broker/broker.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { ClientMessage } from "../protocol/messages.ts";
import { checkShape } from "../protocol/validate.ts";
import { rateLimited, runCommand } from "./commands.ts";
import type { Connection, Socket, SocketHandler } from "./connection.ts";
import type { Place } from "./directory.ts";
import type { Gateway } from "./gateway.ts";

/** Frames that may wait while a join or a history reply is under way; then reading pauses. */
const MAX_WAITING_FRAMES = 64;
/** How Bun tells of a frame above --max-frame-bytes: the peer is given 1009, the callback 1006 and this (1.4.5). */
const FRAME_TOO_LARGE = "Received too big message";

/** The socket callbacks of `/chat`: frames in, one after the other, to commands. */
export class ChatSocket implements SocketHandler {
  #busy = false;
  #waiting: (string | Buffer)[] | undefined;
  readonly #openedAt = performance.now();

  constructor(
    private readonly gateway: Gateway,
    private readonly connection: Connection,
    /** The room to join at once. */
    private readonly room: string | undefined,
    private session: string | undefined,
  ) {}

  get place(): Place {
    return this.connection.place;
  }

  open(socket: Socket): void {
    this.connection.socket = socket;
    this.gateway.connected(this.connection, this.session);
    this.session = undefined;
    if (this.room !== undefined)
      this.#run({ action: "join_room", room: this.room });
  }

  message(frame: string | Buffer): void {
    this.connection.seenAt = performance.now();
    this.gateway.stats.framesIn++;
    if (this.#busy) this.#wait(frame);
    else this.#receive(frame);
  }

  alive(): void {
    this.connection.seenAt = performance.now();
  }

  drained(): void {
    // Reading is a sign of life too: a client on a slow line may take long to get to our ping.
    this.connection.seenAt = performance.now();
    this.gateway.outlet.drained(this.connection);
  }

  close(code: number, reason: string): void {
    this.#waiting = undefined;
    const { gateway, connection } = this;
    if (reason === FRAME_TOO_LARGE) gateway.stats.refused.max_frame_bytes++;
    gateway.outlet.ended(connection, code);
    gateway.disconnected(connection);
    const { id, user, place, codec } = connection;
    gateway.logger.debug(
      {
        connection: id,
        user: user.id,
        from: user.name,
        address: place.address,
        format: codec.name,
        seconds: Math.round(performance.now() - this.#openedAt) / 1000,
        code,
        reason,
      },
      "a connection ended",
    );
  }

  #wait(frame: string | Buffer): void {
    const waiting = (this.#waiting ??= []);
    waiting.push(frame);
    if (waiting.length === MAX_WAITING_FRAMES) this.connection.socket.pause();
  }

  #receive(frame: string | Buffer): void {
    const bytes = bytesOf(frame);
    this.gateway.stats.bytesIn += bytes;
    let requests: readonly unknown[];
    try {
      requests = this.connection.decoder.decode(frame);
    } catch (error) {
      this.#refuseUnusable(error, undefined);
      return;
    }
    const { connection } = this;
    const now = connection.seenAt;
    // Decoded all the same: whoever asked must be told which request it was.
    const wait = connection.bytes(now).take(now, bytes);
    for (const request of requests)
      if (wait > 0) this.#refuse(rateLimited("bytes", wait), request);
      else this.#run(request);
  }

  #run(request: unknown): void {
    let message: ClientMessage;
    try {
      message = checkShape(request);
    } catch (error) {
      this.#refuseUnusable(error, request);
      return;
    }
    let outcome: void | Promise<void>;
    try {
      outcome = runCommand(this.gateway, this.connection, message);
    } catch (error) {
      this.#refuse(error, request);
      return;
    }
    if (outcome) {
      this.#busy = true;
      outcome.then(this.#done, (error: unknown) => {
        this.#refuse(error, request);
        this.#done();
      });
    }
  }

  readonly #done = (): void => {
    this.#busy = false;
    if (!this.#waiting || this.connection.closed) return;
    const { socket } = this.connection;
    socket.cork(() => {
      while (!this.#busy && this.#waiting && this.#waiting.length > 0)
        this.#receive(this.#waiting.shift()!);
    });
    if (this.#waiting?.length === 0) this.#waiting = undefined;
    if (!this.#waiting && !this.connection.closed && socket.isPaused)
      socket.resume();
  };

  /** What never became a request costs as much as one: the answer is work too. */
  #refuseUnusable(error: unknown, request: unknown): void {
    const { connection } = this;
    const now = performance.now();
    if (
      error instanceof ProtocolError &&
      error.code === "bad_frame" &&
      connection.badFrame(now)
    ) {
      this.#refuse(error, request);
      connection.terminate(4000, "too many bad frames");
      return;
    }
    const wait = connection.requests(now).take(now);
    this.#refuse(wait > 0 ? rateLimited("requests", wait) : error, request);
  }

  /** Expected failures become an error frame; anything else is a mistake of ours, and costs this connection only. */
  #refuse(error: unknown, request: unknown): void {
    const { connection } = this;
    if (!(error instanceof ProtocolError) && !(error instanceof BrokerError)) {
      this.gateway.stats.error("internal_error");
      this.gateway.logger.error({ err: error }, "a request failed");
      connection.terminate(1011, "internal error");
      return;
    }
    this.gateway.refuse(connection, refOf(request), error);
    const now = performance.now();
    if (error.code === "rate_limited" && connection.limitedFrame(now))
      connection.terminate(4001, "too many rate-limited frames");
  }
}

const bytesOf = (frame: string | Buffer): number =>
  typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;

/** @returns the request's `ref`, if it has one that can be repeated */
export function refOf(request: unknown): number | undefined {
  const ref = (request as { ref?: unknown } | null | undefined)?.ref;
  return typeof ref === "number" &&
    Number.isInteger(ref) &&
    ref >= 0 &&
    ref <= 0xffffffff
    ? ref
    : undefined;
}
