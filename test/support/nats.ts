import { connect, type NodeConnectionOptions } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Proxy } from "./proxy.ts";
import { freePort } from "./free-port.ts";
import { TempFolder } from "./server.ts";

/** Where the tests find a NATS server; undefined where there is none. */
export const natsServer = Bun.which("nats-server") ?? undefined;

/** What is wrong without one. */
export const NATS_HOW =
  "nats-server 2.11 or newer is not on the PATH: go install github.com/nats-io/nats-server/v2@v2.15.1, and Go's bin folder on the PATH";

/** Says which tests are left out where there is no NATS server, and how to get one. */
export function tellSkipped(what: string): void {
  if (natsServer) return;
  console.warn(`skipped: ${what}. ${NATS_HOW}`);
}

const ports = (count: number): number[] =>
  Array.from({ length: count }, freePort);

/** A nats-server process of its own. Its ports and files stay the same over restarts. */
export class NatsServer {
  #process: Bun.Subprocess | undefined;

  constructor(
    readonly name: string,
    readonly port: number,
    private readonly config: string,
    /** Its folder of streams. */
    readonly store: string,
  ) {}

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** By itself: its configuration is wrong, perhaps. */
  get ended(): boolean {
    return this.#process?.exitCode !== null;
  }

  get pid(): number {
    return this.#process!.pid;
  }

  start(): void {
    this.#process = Bun.spawn([natsServer!, "-c", this.config], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process!.kill(signal);
  }

  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
  }
}

/** The way of one server's connections to another's. */
interface Route {
  readonly from: number;
  readonly to: number;
  readonly proxy: Proxy;
}

/** Where nobody listens: servers tell each other their addresses, and would find ways past the proxies. */
const NOWHERE = "127.0.0.1:1";

/** One server, or several as a cluster, in a temporary folder, on free ports of the loopback. */
export class NatsServers implements AsyncDisposable {
  readonly servers: readonly NatsServer[];
  readonly #folder = new TempFolder();

  private constructor(
    ports: readonly number[],
    settings: string,
    private readonly access: NodeConnectionOptions,
    /** Empty where servers are connected directly. */
    private readonly routes: readonly Route[],
  ) {
    this.servers = ports.map((own, i) => {
      const name = `n${i}`;
      const port = freePort();
      const config = join(this.#folder.path, `${name}.conf`);
      const store = join(this.#folder.path, name);
      mkdirSync(store);
      const others =
        routes.length > 0
          ? routes.filter(({ from }) => from === i).map((r) => r.proxy.port)
          : ports;
      const urls = others.map((other) => `nats://127.0.0.1:${other}`);
      const advertise = routes.length > 0 ? `, advertise: "${NOWHERE}"` : "";
      writeFileSync(
        config,
        [
          `server_name: ${name}`,
          `listen: 127.0.0.1:${port}`,
          `jetstream { store_dir: ${JSON.stringify(store)}, max_mem: 64MB, max_file: 4GB }`,
          settings,
          ports.length > 1
            ? `cluster { name: c, listen: 127.0.0.1:${own}${advertise}, routes: ${JSON.stringify(urls)} }`
            : "",
        ].join("\n"),
      );
      return new NatsServer(name, port, config, store);
    });
  }

  /**
   * Resolves when JetStream answers.
   * @param settings more lines of the servers' configuration
   * @param access what a client needs with them
   */
  static async start(
    count: number,
    settings = "",
    access: NodeConnectionOptions = {},
  ): Promise<NatsServers> {
    return new NatsServers(ports(count), settings, access, []).#started();
  }

  /** A cluster whose servers can be cut off from each other. */
  static async startSeverable(count: number): Promise<NatsServers> {
    const own = ports(count);
    const routes: Route[] = [];
    for (const from of own.keys())
      for (const [to, port] of own.entries())
        if (to !== from)
          routes.push({ from, to, proxy: await Proxy.start(port) });
    return new NatsServers(own, "", {}, routes).#started();
  }

  async #started(): Promise<this> {
    for (const server of this.servers) server.start();
    await this.answer();
    return this;
  }

  /**
   * Cuts a server off from the others; its clients can still reach it.
   * @param silently nobody is told: what is sent waits, as in a network that has lost its way
   */
  cutOff(server: NatsServer, silently: boolean): void {
    for (const { proxy } of this.#routesOf(server)) {
      if (silently) {
        proxy.stall();
        continue;
      }
      proxy.refuse(true);
      proxy.cut();
    }
  }

  /** Ends what `cutOff` began. */
  reconnect(server: NatsServer): void {
    for (const { proxy } of this.#routesOf(server)) {
      proxy.refuse(false);
      proxy.flow();
    }
  }

  #routesOf(server: NatsServer): Route[] {
    const index = this.servers.indexOf(server);
    return this.routes.filter(({ from, to }) => from === index || to === index);
  }

  get urls(): string {
    return this.servers.map(({ url }) => url).join(",");
  }

  /** Resolves when JetStream of every server answers, with a leader and all members. */
  async answer(): Promise<void> {
    for (const server of this.servers)
      for (;;) {
        if (server.ended) throw new Error(`${server.name} of NATS has ended`);
        try {
          const nc = await connect({
            ...this.access,
            servers: server.url.slice(7),
            reconnect: false,
          });
          try {
            const jsm = await jetstreamManager(nc);
            await jsm.getAccountInfo();
            break;
          } finally {
            await nc.close();
          }
        } catch {
          // A process that starts cannot be waited for but by asking.
          await Bun.sleep(50);
        }
      }
  }

  /** The server that leads a stream; once there is one, where it is being chosen. */
  async leaderOf(stream: string): Promise<NatsServer> {
    const nc = await connect({
      ...this.access,
      servers: this.servers.map(({ port }) => `127.0.0.1:${port}`),
    });
    try {
      const jsm = await jetstreamManager(nc, {
        timeout: 1000,
        checkAPI: false,
      });
      for (;;) {
        let leader: string | undefined;
        try {
          leader = (await jsm.streams.info(stream)).cluster?.leader;
        } catch {
          // Nobody can answer yet, or somebody who does not know.
        }
        const server = this.servers.find(({ name }) => name === leader);
        if (server) return server;
        if (this.servers.length === 1) return this.servers[0]!;
      }
    } finally {
      await nc.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A stopped process must go on to be ended.
    await Promise.all(this.servers.map((server) => server.kill()));
    for (const { proxy } of this.routes) await proxy[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}
