import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import type { GatewayFigures } from "../../src/threads/link.ts";
import type { Config } from "../../src/config/options.ts";
import {
  startOnNats,
  startRoomcast,
  type Roomcast,
} from "../../src/roomcast.ts";

/** A folder of its own, removed at the end of its scope. */
export class TempFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "roomcast-test-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The whole server's tests run with one thread and with more: `ROOMCAST_TEST_THREADS=3 bun test test/server`. */
export const THREADS = Number(process.env.ROOMCAST_TEST_THREADS ?? 1);
const THREAD_FLAGS = ["--threads", String(THREADS)];
/** They also run with history in NATS: `ROOMCAST_TEST_NATS=nats://127.0.0.1:4222 bun test test/server`. */
export const NATS = process.env.ROOMCAST_TEST_NATS ?? "";

/** @param data a server of the same folder has the same history */
function natsFlags(data: string): string[] {
  if (!NATS) return [];
  const prefix = `t${Bun.hash(data).toString(36)}`;
  // Without a folder, a key that outlives a restart comes from the configuration.
  const key = ["--session-key", data];
  return ["--nats", NATS, "--nats-prefix", prefix, ...key];
}

export interface RunningServer extends AsyncDisposable {
  /** ws://…, without a path */
  readonly url: string;
  readonly http: string;
}

interface Started {
  readonly folder: TempFolder;
  readonly roomcast: Roomcast;
}

function configIn(folder: TempFolder, flags: readonly string[]): Config {
  const all = [
    ...["--port", "0", "--host", "127.0.0.1", "--data", folder.path],
    ...["--drain-grace-ms", "0", ...THREAD_FLAGS, ...flags],
  ];
  return loadConfig(parseCommandLine(all), {});
}

/** A server in this process, on a free port, with real sockets and real files. Flags are those of the command line. */
export class InProcessServer implements RunningServer {
  readonly roomcast: Roomcast;
  readonly #folder: TempFolder;
  #stopped = false;

  /** With its own history, whatever the run's. A server with its history in NATS cannot be had at once: see `start`. */
  constructor(...from: readonly string[] | readonly [Started]) {
    const [first] = from;
    if (typeof first === "object") {
      this.#folder = first.folder;
      this.roomcast = first.roomcast;
      return;
    }
    this.#folder = new TempFolder();
    this.roomcast = this.start(configIn(this.#folder, from as string[]));
  }

  protected start(config: Config): Roomcast {
    return startRoomcast(config);
  }

  /** With the history of this run. */
  static async start(...flags: string[]): Promise<InProcessServer> {
    if (!NATS) return new InProcessServer(...flags);
    const folder = new TempFolder();
    const config = configIn(folder, [...natsFlags(folder.path), ...flags]);
    const roomcast = await startOnNats(config, (reason) => {
      throw new Error(reason);
    });
    return new InProcessServer({ folder, roomcast });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.roomcast.server.port}`;
  }

  get http(): string {
    return `http://127.0.0.1:${this.roomcast.server.port}`;
  }

  /** What all its gateways have in memory. */
  async inMemory(): Promise<GatewayFigures> {
    const sum = { connections: 0, rooms: 0 };
    for (const { connections, rooms } of await this.roomcast.inspect()) {
      sum.connections += connections;
      sum.rooms += rooms;
    }
    return sum;
  }

  /** Waits until so many connections are counted: an end is counted in another thread than the next beginning. */
  async connectionsAre(count: number): Promise<void> {
    while (this.roomcast.connections !== count) await Bun.sleep(1);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.roomcast.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#folder[Symbol.dispose]();
  }
}

/** The server as a user starts it: a process of its own, that can be killed. */
export class ServerProcess implements RunningServer {
  private constructor(
    readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">,
    readonly port: number,
    /** What it printed when it was ready. */
    readonly greeting: string,
    readonly rest: {
      read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
      cancel(): Promise<void>;
    },
  ) {}

  /** Resolves when it listens. */
  static start(data: string, ...flags: string[]): Promise<ServerProcess> {
    return ServerProcess.startUnder([], data, ...flags);
  }

  /** @param wrapper a command that becomes what its arguments say */
  static startUnder(
    wrapper: readonly string[],
    data: string,
    ...flags: string[]
  ): Promise<ServerProcess> {
    return ServerProcess.run(
      [...wrapper, process.execPath, "run", "src/server.ts"],
      join(import.meta.dir, "../.."),
      ...["--data", data, ...THREAD_FLAGS, ...natsFlags(data), ...flags],
    );
  }

  /** Another program that is a server. */
  static async run(
    command: readonly string[],
    cwd: string,
    ...flags: string[]
  ): Promise<ServerProcess> {
    const child = Bun.spawn(
      [...command, "--host", "127.0.0.1", "--port", "0", ...flags],
      {
        cwd,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const reader = child.stdout.getReader();
    let printed = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done)
        throw new Error(
          `the server ended with ${await child.exited} and said: ${printed}`,
        );
      printed += new TextDecoder().decode(value);
      const port = /https?:\/\/[^:]+:(\d+)/.exec(printed)?.[1];
      if (port) return new ServerProcess(child, Number(port), printed, reader);
    }
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get http(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** @returns the exit code */
  async signal(signal: NodeJS.Signals): Promise<number> {
    this.process.kill(signal);
    return await this.process.exited;
  }

  /** Everything it prints until it ends. */
  async remainingOutput(): Promise<string> {
    let printed = "";
    for (;;) {
      const { value, done } = await this.rest.read();
      if (done) return printed;
      printed += new TextDecoder().decode(value);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
  }
}
