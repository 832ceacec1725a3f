import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { NatsServers, type NatsServer } from "../support/nats.ts";
import type { Random } from "../support/random.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";

const FLAGS = [
  // Nodes know each other's guests.
  ...["--session-key", "the key of the cluster"],
  ...["--max-messages-per-second", "0", "--max-requests-per-second", "0"],
  ...["--max-connections-per-address", "0"],
  // Small, so that every path is taken: several slices, cut replies, reads from the streams.
  ...["--slice-members", "3", "--ring-events-per-room", "16"],
  ...["--max-history-per-reply", "20"],
];

/** A place where a gateway process runs, and is started anew when it has ended. */
export class Node {
  #server: ServerProcess | undefined;
  #port = "0";

  constructor(
    private readonly data: string,
    private readonly flags: readonly string[],
  ) {}

  get up(): boolean {
    return this.#server !== undefined;
  }

  get server(): ServerProcess {
    return this.#server!;
  }

  /** On the port of its last run. Like whoever keeps a service running, it tries again where NATS is not there. */
  async start(): Promise<void> {
    for (;;) {
      try {
        this.#server = await ServerProcess.start(
          this.data,
          ...["--port", this.#port],
          ...this.flags,
        );
        this.#port = String(this.#server.port);
        return;
      } catch {
        await Bun.sleep(200);
      }
    }
  }

  /** @returns the exit code */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number> {
    const server = this.server;
    this.#server = undefined;
    return await server.signal(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }
}

let prefixes = 0;

export interface ClusterOptions {
  readonly streams?: number;
  readonly replicas?: number;
  readonly flags?: readonly string[];
}

/** Two gateway processes over NATS servers. */
export class Cluster implements AsyncDisposable {
  readonly #folder = new TempFolder();
  readonly prefix = `c${++prefixes}`;
  readonly streams: number;
  readonly nodes: readonly [Node, Node];

  private constructor(
    readonly nats: NatsServers,
    { streams = 1, replicas = 3, flags = [] }: ClusterOptions,
  ) {
    this.streams = streams;
    const all = [
      ...FLAGS,
      ...["--nats", nats.urls, "--nats-prefix", this.prefix],
      ...["--nats-streams", `${streams}`, "--nats-replicas", `${replicas}`],
      ...flags,
    ];
    const node = (): Node => new Node(this.#folder.path, all);
    this.nodes = [node(), node()];
  }

  /** @param nats stays the caller's */
  static async start(
    nats: NatsServers,
    options: ClusterOptions = {},
  ): Promise<Cluster> {
    const cluster = new Cluster(nats, options);
    await Promise.all(cluster.nodes.map((node) => node.start()));
    return cluster;
  }

  /** One of the gateways that run; any, where none does. */
  aServer(random: Random): ServerProcess {
    const up = this.nodes.filter((node) => node.up);
    return random.pick(up.length > 0 ? up : this.nodes).server;
  }

  /** The NATS server that leads one of the streams. */
  aLeader(random: Random): Promise<NatsServer> {
    const stream = random.below(this.streams);
    return this.nats.leaderOf(`${this.prefix}-${stream}`);
  }

  /** How gateways and streams are, for whoever looks for the cause of a failure. */
  async describe(): Promise<string> {
    const lines: string[] = [];
    for (const [i, node] of this.nodes.entries())
      lines.push(
        `gateway ${i}: ${node.up ? await healthOf(node.server) : "not up"}`,
      );
    for (const { name, url } of this.nats.servers)
      for (let index = 0; index < this.streams; index++)
        lines.push(
          `${name} of stream ${index}: ${await streamAt(url, `${this.prefix}-${index}`)}`,
        );
    return lines.join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    this.#folder[Symbol.dispose]();
  }
}

async function healthOf(server: ServerProcess): Promise<string> {
  try {
    const response = await fetch(`${server.http}/health`, {
      signal: AbortSignal.timeout(1000),
    });
    return await response.text();
  } catch (error) {
    return String(error);
  }
}

async function streamAt(url: string, stream: string): Promise<string> {
  try {
    const nc = await connect({
      servers: url.slice(7),
      reconnect: false,
      timeout: 500,
    });
    try {
      const jsm = await jetstreamManager(nc, { timeout: 500 });
      const { cluster, state } = await jsm.streams.info(stream);
      return `at ${state.last_seq}, ${JSON.stringify(cluster)}`;
    } finally {
      await nc.close();
    }
  } catch (error) {
    return String(error);
  }
}
