import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { NatsServer } from "../support/nats.ts";
import { Proxy } from "../support/proxy.ts";
import { TempFolder } from "../support/server.ts";
import { freePort } from "../support/free-port.ts";

/**
 * Two NATS servers with a line between them that can be cut: the second is a leaf of the first. Each has a
 * JetStream of its own.
 */
export class TwoServers implements AsyncDisposable {
  private constructor(
    readonly servers: readonly [NatsServer, NatsServer],
    private readonly line: Proxy,
    private readonly folder: TempFolder,
  ) {}

  static async start(): Promise<TwoServers> {
    const folder = new TempFolder();
    const leaf = freePort();
    const line = await Proxy.start(leaf);
    const servers = [];
    for (const i of [0, 1]) {
      const name = `n${i}`;
      const port = freePort();
      const config = join(folder.path, `${name}.conf`);
      const store = join(folder.path, name);
      mkdirSync(store);
      writeFileSync(
        config,
        [
          `server_name: ${name}`,
          `listen: 127.0.0.1:${port}`,
          `jetstream { store_dir: ${JSON.stringify(store)}, domain: ${name} }`,
          i === 0
            ? // Untold, or the second would go round the line.
              `leafnodes { listen: 127.0.0.1:${leaf}, no_advertise: true }`
            : `leafnodes { reconnect: 1, remotes: [{ url: "nats://127.0.0.1:${line.port}", ignore_discovered_servers: true }] }`,
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

  /** Resolves when messages pass from one to the other. */
  async #connected(): Promise<void> {
    const [one, two] = await Promise.all(
      this.servers.map(async ({ port }) => {
        for (;;)
          try {
            return await connect({ servers: `127.0.0.1:${port}` });
          } catch {
            // A process that starts cannot be waited for but by asking.
            await Bun.sleep(50);
          }
      }),
    );
    one!.subscribe("ping", { callback: (_, msg) => void msg.respond() });
    for (;;)
      try {
        await two!.request("ping", "", { timeout: 200 });
        break;
      } catch {
        await Bun.sleep(50);
      }
    await Promise.all([one!.close(), two!.close()]);
  }
}
