import { connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** A TCP proxy on loopback that does to connections what networks do: cuts, stalls, refuses. */
export class Proxy implements AsyncDisposable {
  readonly #pairs = new Set<Pair>();
  #stalled = false;
  #refusing = false;
  /** Whether what servers send is thrown away. Between frames only: on loopback each small write is one chunk. */
  loseAnswers = false;
  /** Sees what servers send. */
  heard: (chunk: Buffer) => void = () => {};
  /** Connections it has taken so far. */
  taken = 0;
  #waiters: (() => void)[] = [];

  private constructor(
    private readonly server: Server,
    /** Port to which it passes a connection on; may change, or be asked for with each. */
    public target: number | (() => number),
  ) {
    server.on("connection", (client) => this.#pass(client));
  }

  static async start(target: number | (() => number)): Promise<Proxy> {
    const server = createServer({ pauseOnConnect: true });
    const proxy = new Proxy(server, target);
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve),
    );
    return proxy;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Ends every connection without a word. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** From now on nothing passes, either way, and nobody is told: a half-open connection. */
  stall(): void {
    this.#stalled = true;
    for (const { client, server } of this.#pairs) {
      client.pause();
      server.pause();
    }
  }

  /** What servers send waits here until `flow`; what clients send still arrives. */
  holdAnswers(): void {
    for (const { server } of this.#pairs) server.pause();
  }

  /** Connections of now flow again, and new ones do. */
  flow(): void {
    this.#stalled = false;
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  /** Whether new connections are ended at once. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Puts a text frame of a WebSocket between those of the last connection. Only while both sides are quiet. */
  inject(
    message: object | string,
    way: "to the client" | "to the server",
  ): void {
    const pair = [...this.#pairs].at(-1)!;
    const text =
      typeof message === "string" ? message : JSON.stringify(message);
    const payload = Buffer.from(text);
    if (payload.length > 125) throw new Error("too long for a short frame");
    if (way === "to the client")
      pair.client.write(
        Buffer.concat([Buffer.of(0x81, payload.length), payload]),
      );
    else
      // Clients mask: with zeroes the payload stays what it is.
      pair.server.write(
        Buffer.concat([
          Buffer.of(0x81, 0x80 | payload.length, 0, 0, 0, 0),
          payload,
        ]),
      );
  }

  /** Resolves when so many connections have been taken. */
  async untilTaken(count: number): Promise<void> {
    while (this.taken < count)
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #pass(client: Socket): void {
    this.taken++;
    for (const resolve of this.#waiters.splice(0)) resolve();
    if (this.#refusing) {
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const { target } = this;
    const port = typeof target === "number" ? target : target();
    const server = connect(port, "127.0.0.1");
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on("data", (chunk) => {
        if (from === server) this.heard(Buffer.from(chunk));
        if (this.loseAnswers && from === server) return;
        if (!to.write(chunk)) from.pause();
      });
      to.on("drain", () => this.#stalled || from.resume());
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#stalled) {
      client.pause();
      server.pause();
    } else client.resume();
  }
}
