import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { NatsServer } from "../support/nats.ts";
import { Proxy } from "../support/proxy.ts";
import { TempFolder } from "../support/server.ts";

/** Two NATS servers as a cluster, with a line between them that can be cut. JetStream is on the first only. */
export class TwoServers implements AsyncDisposable {
  private constructor(
    readonly servers: readonly [NatsServer, NatsServer],
    private readonly line: Proxy,
    private readonly folder: TempFolder,
  ) {}

  static async start(): Promise<TwoServers> {
    const folder = new TempFolder();
    const route = await freePort();
    const line = await Proxy.start(route);
    const servers = [];
    for (const i of [0, 1]) {
      const name = `n${i}`;
      const port = await freePort();
      const config = join(folder.path, `${name}.conf`);
      const store = join(folder.path, name);
      mkdirSync(store);
      // Only the second dials, and neither tells clients or servers of the other: the line is the only way.
      const listen = i === 0 ? route : await freePort();
      const routes = i === 0 ? "" : `routes: ["nats://127.0.0.1:${line.port}"]`;
      writeFileSync(
        config,
        [
          `server_name: ${name}`,
          `listen: 127.0.0.1:${port}`,
          i === 0 ? `jetstream { store_dir: ${JSON.stringify(store)} }` : "",
          `cluster { name: c, listen: 127.0.0.1:${listen}, no_advertise: true, ${routes} }`,
        ].join("\n"),
      );
      const server = new NatsServer(name, port, config, store);
      server.start();
      servers.push(server);
    }
    const two = new TwoServers(
      servers as unknown as [NatsServer, NatsServer],
      line,
      folder,
    );
    await two.#connected();
    return two;
  }

  cut(): void {
    this.line.refuse(true);
    this.line.cut();
  }

  mend(): void {
    this.line.refuse(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
    await this.line[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }

  /** Resolves when a message passes from one to the other, and JetStream answers. */
  async #connected(): Promise<void> {
    for (;;)
      try {
        const nc = await connect({
          servers: `127.0.0.1:${this.servers[1].port}`,
          reconnect: false,
        });
        try {
          await nc.request("$JS.API.INFO", "", { timeout: 1000 });
          return;
        } finally {
          await nc.close();
        }
      } catch {
        // A process that starts cannot be waited for but by asking.
        await Bun.sleep(50);
      }
  }
}

async function freePort(): Promise<number> {
  await using proxy = await Proxy.start(0);
  return proxy.port;
}
