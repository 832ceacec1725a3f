import type { Server } from "bun";
import type { Tls } from "../auth/tls.ts";
import type { Connection, SocketHandler } from "./connection.ts";

export type ChatServer = Server<SocketHandler>;

/** Certificates whose connections are still there, at most; after more changes those of the oldest are closed, and come back. */
const MAX_EARLIER = 8;

/**
 * The listener of a gateway, and, after its certificate was changed, those before it. Bun cannot change the certificate of
 * a server (`reload` takes none, 1.4.5): so another server listens on the same port, and the one before it stops to listen
 * and keeps its sockets until they are gone. Each has topics of its own. A connect that is between its TCP handshake and
 * its request at that moment is reset (measured: 32 of 6,000 over 25 changes under load); clients try again.
 */
export class Listeners {
  /** The last one listens. */
  readonly #all: ChatServer[];
  /** Where a connection is from; kept only where there may be more than one. */
  readonly #serverOf = new WeakMap<Connection, ChatServer>();

  /**
   * @param listen makes a server
   * @param tls undefined: it stays the only one
   */
  constructor(
    private readonly listen: (tls: Tls | undefined, port: number) => ChatServer,
    private readonly tls: Tls | undefined,
    port: number,
  ) {
    this.#all = [listen(tls, port)];
  }

  get hostname(): string {
    return this.#last.hostname!;
  }

  get port(): number {
    return this.#last.port!;
  }

  /** Must be told of every connection, so that what it is not to be sent goes to all others. */
  opened(connection: Connection, server: ChatServer): void {
    if (this.tls) this.#serverOf.set(connection, server);
  }

  /**
   * @param except who is not sent it, although it subscribes to the topic
   * @returns what Bun gives: bytes, -1 where some wait, 0 where a socket has too many waiting or there is none
   */
  publish(
    topic: string,
    frame: string | Uint8Array,
    compress: boolean,
    except?: Connection,
  ): number {
    const all = this.#all;
    if (all.length === 1) {
      return except
        ? except.socket.publish(topic, frame, compress)
        : all[0]!.publish(topic, frame, compress);
    }
    const own = except && this.#serverOf.get(except);
    let worst = 0;
    for (const server of all) {
      const sent =
        server === own
          ? except!.socket.publish(topic, frame, compress)
          : server.publish(topic, frame, compress);
      // One without subscribers gives 0 too: that is no news.
      if (sent < 0 || (sent > 0 && worst === 0)) worst = sent;
    }
    return worst;
  }

  /**
   * New connections get this certificate; those that are there stay as they are.
   * @throws Error it cannot be used: all stays as it was
   */
  change(tls: Tls): void {
    const before = this.#last;
    this.#all.push(this.listen(tls, before.port!));
    void before.stop().then(() => {
      this.#all.splice(this.#all.indexOf(before), 1);
    });
    if (this.#all.length > MAX_EARLIER + 1) void this.#all[0]!.stop(true);
  }

  /** Closes what is left, and lets go of the port. */
  async stop(): Promise<void> {
    await Promise.all(this.#all.map((server) => server.stop(true)));
  }

  get #last(): ChatServer {
    return this.#all[this.#all.length - 1]!;
  }
}
