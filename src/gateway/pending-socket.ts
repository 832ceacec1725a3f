import { KeysUnavailable, type Bearer } from "../auth/auth.ts";
import type { Codec, Decoder } from "../protocol/codec.ts";
import { ProtocolError, type CloseCode } from "../protocol/errors.ts";
import type { ClientMessage, ServerMessage } from "../protocol/messages.ts";
import { checkShape } from "../protocol/validate.ts";
import { refOf, type ChatSocket } from "./chat-socket.ts";
import type { Peer, Socket, SocketHandler } from "./connection.ts";
import { isRefused, type Place } from "./directory.ts";
import type { Gateway } from "./gateway.ts";

/** Frames without a token, at most: a token takes one, and a few pings are not too many. */
const MAX_FRAMES = 32;
/** Frames that may follow a token before it is checked; then reading pauses. */
const MAX_WAITING_FRAMES = 64;

/** The socket callbacks of `/chat` for somebody who has to show a token: until then only `authenticate` and `ping`. */
export class PendingSocket implements SocketHandler, Peer {
  socket!: Socket;
  seenAt = performance.now();
  pingedAt = 0;
  readonly publishing = 0;
  readonly #decoder: Decoder;
  #frames = 0;
  #timer: Timer | undefined;
  /** Until when it has to show a token that is valid, as `performance.now()`. */
  readonly #deadline: number;
  /** A token was shown that could not be checked. */
  #unchecked = false;
  /** Frames that came while the token was checked. */
  #waiting: (string | Buffer)[] | undefined;
  #hasPlace = true;
  #closed = false;

  constructor(
    private readonly gateway: Gateway,
    /** Nobody's: it is given back when the token's user takes one. */
    readonly place: Place,
    private readonly codec: Codec,
    /** What becomes of the socket. */
    private readonly become: (place: Place, bearer: Bearer) => ChatSocket,
  ) {
    this.#decoder = codec.createDecoder("");
    this.#deadline = this.seenAt + gateway.config.authTimeoutMs;
  }

  open(socket: Socket): void {
    this.socket = socket;
    this.gateway.peers.add(this);
    this.#await();
    const { authTimeoutMs } = this.gateway.config;
    this.#send({ action: "authenticate_first", within_ms: authTimeoutMs });
  }

  message(frame: string | Buffer): void {
    this.seenAt = performance.now();
    if (this.#waiting) {
      this.#waiting.push(frame);
      if (this.#waiting.length === MAX_WAITING_FRAMES) this.socket.pause();
      return;
    }
    if (++this.#frames > MAX_FRAMES) {
      this.terminate(4010, "too many frames without a token");
      return;
    }
    let request: unknown;
    try {
      request = this.#decoder.decode(frame)[0];
      this.#run(checkShape(request));
    } catch (error) {
      this.#refuse(error, request);
    }
  }

  alive(): void {
    this.seenAt = performance.now();
  }

  drained(): void {
    this.seenAt = performance.now();
  }

  close(): void {
    this.#closed = true;
    this.#waiting = undefined;
    clearTimeout(this.#timer);
    this.gateway.peers.delete(this);
    if (this.#hasPlace) this.gateway.directory.leave(this.place);
  }

  sendAway(afterMs: number): void {
    this.#send({ action: "reconnect", after_ms: afterMs });
  }

  terminate(code: CloseCode, reason: string): void {
    if (!this.#closed) this.socket.close(code, reason);
  }

  /**
   * Ends it at the deadline; not while a token is looked at: how long that takes is not up to its bearer.
   * @returns whether there is time left
   */
  #await(): boolean {
    const end = (): void =>
      this.#unchecked
        ? this.terminate(1011, "tokens cannot be checked")
        : this.terminate(4010, "no token in time");
    const left = this.#deadline - performance.now();
    if (left <= 0) end();
    else this.#timer = setTimeout(end, left);
    return left > 0;
  }

  /** @throws ProtocolError */
  #run(message: ClientMessage): void {
    if (message.action === "ping")
      this.#send({ action: "pong", ref: message.ref });
    else if (message.action === "authenticate") {
      this.#waiting = [];
      void this.#authenticate(message);
    } else
      throw new ProtocolError(
        "unauthorized",
        "this connection has shown no token: authenticate first",
      );
  }

  async #authenticate(message: ClientMessage<"authenticate">): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const bearer = await this.gateway.auth.verify(message.token);
      if (!this.#closed) await this.#enter(bearer, message.ref);
    } catch (error) {
      this.#refuse(error, message);
      // A token that may be valid can be shown again; for one that is not there are no more tries.
      if (error instanceof KeysUnavailable) {
        this.#unchecked = true;
        this.#goOn();
      } else this.terminate(4010, "no valid token");
    }
  }

  /** Takes a place for the user, and makes the socket a connection of it. */
  async #enter(bearer: Bearer, ref: number | undefined): Promise<void> {
    const { directory, peers } = this.gateway;
    const { user, expiresAt } = bearer;
    // Both in one go, so that the place that gets free is still there.
    this.#hasPlace = false;
    directory.leave(this.place);
    const admission = await directory.admit(this.place.address, {
      kind: "user",
      user,
    });
    if (isRefused(admission)) {
      const { code, message, limit } = admission;
      this.gateway.stats.error(code, limit);
      this.#send({ action: "error", ref, code, message });
      this.terminate(1011, "there is no place");
      return;
    }
    if (this.#closed) return directory.leave(admission);
    peers.delete(this);
    const { socket } = this;
    const waiting = this.#waiting!;
    const chat = this.become(admission, bearer);
    socket.data = chat;
    if (socket.isPaused) socket.resume();
    socket.cork(() => {
      this.#send({
        action: "authenticated",
        ref,
        user,
        expires_in_ms: Math.max(0, expiresAt - Date.now()),
      });
      chat.open(socket);
      for (const frame of waiting) chat.message(frame);
    });
  }

  /** Takes up frames again, those that waited first. */
  #goOn(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    if (this.#closed || !this.#await()) return;
    for (const frame of waiting) this.message(frame);
    if (!this.#closed && this.socket.isPaused) this.socket.resume();
  }

  #refuse(error: unknown, request: unknown): void {
    if (!(error instanceof ProtocolError)) {
      this.gateway.stats.error("internal_error");
      this.gateway.logger.error({ err: error }, "a request failed");
      this.terminate(1011, "internal error");
      return;
    }
    this.gateway.stats.error(error.code, error.limit);
    this.#send({
      action: "error",
      ref: refOf(request),
      code: error.code,
      message: error.message,
      retry_after_ms: error.retryAfterMs,
    });
  }

  #send(message: ServerMessage): void {
    const frame = this.codec.encode(message);
    if (frame !== null && !this.#closed) this.socket.send(frame, false);
  }
}
