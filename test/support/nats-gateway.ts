import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { startOnNats, type Roomcast } from "../../src/roomcast.ts";
import type { RunningServer } from "./server.ts";

/** A server in this process with its history in NATS. */
export class NatsGateway implements RunningServer {
  private constructor(readonly roomcast: Roomcast) {}

  /** @param urls of NATS; servers of the same prefix act as one */
  static async start(
    urls: string,
    prefix: string,
    ...flags: string[]
  ): Promise<NatsGateway> {
    const config = loadConfig(
      parseCommandLine([
        ...["--port", "0", "--host", "127.0.0.1", "--drain-grace-ms", "0"],
        ...["--nats", urls, "--nats-prefix", prefix, ...flags],
      ]),
      {},
    );
    return new NatsGateway(
      await startOnNats(config, (reason) => {
        throw new Error(reason);
      }),
    );
  }

  get url(): string {
    return `ws://127.0.0.1:${this.roomcast.server.port}`;
  }

  get http(): string {
    return `http://127.0.0.1:${this.roomcast.server.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.roomcast.drain();
  }
}
