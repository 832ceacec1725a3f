import type { Config } from "../config/options.ts";
import { Bucket, Strikes } from "./bucket.ts";
import type { Socket, SocketHandler } from "./connection.ts";

/** The socket callbacks of `/echo`: for trying a client or a proxy. */
export class EchoSocket implements SocketHandler {
  #socket!: Socket;
  readonly #rate: Bucket;
  readonly #limited = new Strikes(2_000, 10_000);

  constructor(
    readonly address: string,
    config: Config,
  ) {
    const { maxMessagesPerSecond: rate } = config;
    this.#rate = new Bucket(rate, 2 * rate, performance.now());
  }

  open(socket: Socket): void {
    this.#socket = socket;
    socket.send("You are connected!", false);
  }

  message(frame: string | Buffer): void {
    const now = performance.now();
    const wait = this.#rate.take(now);
    if (wait > 0) {
      this.#socket.send(`! too many messages; try again in ${wait} ms`, false);
      if (this.#limited.add(now))
        this.#socket.close(4001, "too many rate-limited frames");
    } else if (typeof frame === "string")
      this.#socket.send(`You said: ${frame}`, false);
    else this.#socket.send("! text frames only", false);
  }

  alive(): void {}
  drained(): void {}
  close(): void {}
}
