import type { Config } from "../config/options.ts";
import type { CloseCode } from "../protocol/errors.ts";
import { restartLine } from "../protocol/text.ts";
import { Bucket, Strikes } from "./bucket.ts";
import type { Directory, Place } from "./directory.ts";
import type { Peer, Socket, SocketHandler } from "./connection.ts";

/** The socket callbacks of `/echo`: for trying a client or a proxy. */
export class EchoSocket implements SocketHandler, Peer {
  socket!: Socket;
  seenAt = performance.now();
  pingedAt = 0;
  readonly publishing = 0;
  readonly #rate: Bucket;
  readonly #limited = new Strikes(2_000, 10_000);

  constructor(
    readonly place: Place,
    config: Config,
    private readonly directory: Directory,
    private readonly peers: Set<Peer>,
  ) {
    const { maxMessagesPerSecond: rate } = config;
    this.#rate = new Bucket(rate, 2 * rate, this.seenAt);
  }

  open(socket: Socket): void {
    this.socket = socket;
    this.peers.add(this);
    this.#say("You are connected!");
  }

  message(frame: string | Buffer): void {
    this.seenAt = performance.now();
    const wait = this.#rate.take(this.seenAt);
    if (wait > 0) {
      this.#say(`! too many messages; try again in ${wait} ms`);
      if (this.#limited.add(this.seenAt))
        this.terminate(4001, "too many rate-limited frames");
    } else if (typeof frame === "string") this.#say(`You said: ${frame}`);
    else this.#say("! text frames only");
  }

  alive(): void {
    this.seenAt = performance.now();
  }

  drained(): void {
    this.seenAt = performance.now();
  }

  close(): void {
    this.peers.delete(this);
    this.directory.leave(this.place);
  }

  sendAway(afterMs: number): void {
    this.#say(restartLine(afterMs));
  }

  terminate(code: CloseCode, reason: string): void {
    this.socket.close(code, reason);
  }

  #say(line: string): void {
    this.socket.send(line, false);
  }
}
