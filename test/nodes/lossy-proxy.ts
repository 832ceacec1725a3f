import { connect, createServer, type Server } from "node:net";

/** Lies between a client and its NATS server, and loses messages that the client publishes. */
export class LossyProxy implements AsyncDisposable {
  lost = 0;
  /** Whether a message is lost. */
  loses: (subject: string, body: string) => boolean = () => false;

  private constructor(
    private readonly server: Server,
    target: number,
  ) {
    server.on("connection", (client) => {
      const nats = connect(target, "127.0.0.1");
      let rest = Buffer.alloc(0);
      client.on("data", (chunk) => {
        rest = this.#pass(Buffer.concat([rest, chunk as Buffer]), (bytes) =>
          nats.write(bytes),
        );
      });
      nats.on("data", (chunk) => client.write(chunk));
      for (const [from, to] of [
        [client, nats],
        [nats, client],
      ] as const) {
        from.on("error", () => to.destroy());
        from.on("close", () => to.destroy());
      }
    });
  }

  static async start(target: number): Promise<LossyProxy> {
    const server = createServer();
    const proxy = new LossyProxy(server, target);
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve),
    );
    return proxy;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
  }

  /** @returns what is not whole yet */
  #pass(
    bytes: Buffer<ArrayBuffer>,
    send: (bytes: Buffer) => void,
  ): Buffer<ArrayBuffer> {
    for (;;) {
      const end = bytes.indexOf("\r\n");
      if (end < 0) return bytes;
      const words = bytes.subarray(0, end).toString().split(/\s+/);
      const publishes = words[0] === "PUB" || words[0] === "HPUB";
      const whole = end + 2 + (publishes ? Number(words.at(-1)) + 2 : 0);
      if (bytes.length < whole) return bytes;
      const body = bytes.subarray(end + 2, whole).toString();
      if (publishes && this.loses(words[1]!, body)) this.lost++;
      else send(bytes.subarray(0, whole));
      bytes = bytes.subarray(whole);
    }
  }
}
