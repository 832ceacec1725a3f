import { NatsBroker } from "../../src/broker/nats/nats.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import type { Origin } from "../../src/gateway/entry.ts";
import { AdmissionCount } from "../../src/gateway/admission.ts";
import { LocalDirectory } from "../../src/gateway/local-directory.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { startHousekeeping } from "../../src/gateway/housekeeping.ts";
import { serve, type ChatServer } from "../../src/gateway/serve.ts";
import { Sessions } from "../../src/gateway/sessions.ts";
import { GuestCounter, Users } from "../../src/gateway/users.ts";
import { OPTIONS } from "../broker/nats/support.ts";
import type { RunningServer } from "./server.ts";

/** A gateway in this process with its events in NATS. */
export class NatsGateway implements RunningServer {
  private constructor(
    private readonly server: ChatServer,
    readonly gateway: Gateway,
    readonly broker: NatsBroker<Origin>,
    private readonly housekeeping: Timer,
  ) {}

  static async start(
    urls: string,
    prefix: string,
    ...flags: string[]
  ): Promise<NatsGateway> {
    const config = loadConfig(
      parseCommandLine(["--port", "0", "--host", "127.0.0.1", ...flags]),
      {},
    );
    const broker = await NatsBroker.open<Origin>(
      { ...OPTIONS, urls, prefix },
      (event, origin) => gateway.deliver(event, origin),
      { tell: console.error, onEnd: console.error },
    );
    const guests = new GuestCounter(0, () => {});
    const gateway: Gateway = new Gateway(
      config,
      broker,
      new LocalDirectory(
        new AdmissionCount(
          config.maxConnections,
          config.maxConnectionsPerAddress,
        ),
        new Users(guests),
        {
          presenceChanged: (room, change) =>
            gateway.presenceChanged(room, change),
        },
      ),
      (topic, frame, compress) => server.publish(topic, frame, compress),
    );
    const server = serve({
      config,
      gateway,
      sessions: new Sessions("shared", config.sessionDays),
      draining: () => false,
      otherwise: () => undefined,
      run: Date.now().toString(36),
    });
    return new NatsGateway(server, gateway, broker, startHousekeeping(gateway));
  }

  get url(): string {
    return `ws://127.0.0.1:${this.server.port}`;
  }

  get http(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.housekeeping);
    await this.server.stop(true);
    await this.broker.close();
  }
}
