import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { Peer } from "./peer.ts";

const START_MS = 30_000;
const STOP_MS = 10_000;
const LOG_TAIL = 600;

interface Killable {
  kill(signal: "SIGKILL"): unknown;
}

/** Servers that run: a benchmark that is interrupted must not leave them behind. */
const running = new Set<Killable>();

/** Processes that are killed with the servers. @returns forgets them */
export function alsoRunning(processes: readonly Killable[]): () => void {
  for (const one of processes) running.add(one);
  return () => {
    for (const one of processes) running.delete(one);
  };
}

export function killAllServers(): void {
  for (const child of running) child.kill("SIGKILL");
}

/** One server process of a peer. */
export class ServerProcess {
  readonly port: number;
  readonly folder: string;
  readonly #peer: Peer;
  readonly #flags: string[];
  readonly #ownFolder: boolean;
  readonly #logFile: string;
  #child!: Subprocess;

  private constructor(
    peer: Peer,
    flags: string[],
    folder: string | null,
    port: number,
  ) {
    this.#peer = peer;
    this.#flags = flags;
    this.port = port;
    this.#ownFolder = folder === null;
    const scratch = mkdtempSync(join(tmpdir(), `bench-${peer.name}-`));
    this.folder = folder ?? scratch;
    this.#logFile = join(scratch, "server.log");
  }

  /**
   * Starts a server and resolves once it accepts connections.
   * @param folder its data folder, kept afterwards; null makes one that is removed
   * @throws Error it ended or did not listen in time, with what it printed last
   */
  static async start(
    peer: Peer,
    flags: string[] = [],
    folder: string | null = null,
  ): Promise<ServerProcess> {
    const server = new ServerProcess(peer, flags, folder, freePort());
    try {
      await server.launch();
    } catch (error) {
      server.#removeFiles();
      throw error;
    }
    return server;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether the process has ended by itself or by a signal. */
  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}${this.#peer.path}`;
  }

  /** Starts the process, again after `kill`, with the same port and folder. */
  async launch(): Promise<void> {
    const command = this.#peer.command({
      port: this.port,
      folder: this.folder,
      flags: this.#flags,
    });
    const log = Bun.file(this.#logFile);
    const child: Subprocess = Bun.spawn(command, {
      stdio: ["ignore", log, log],
      onExit: () => void running.delete(child),
    });
    this.#child = child;
    running.add(child);
    const deadline = performance.now() + START_MS;
    while (!(await accepts(this.port))) {
      if (this.ended) throw this.#error("ended while starting");
      if (performance.now() > deadline) {
        await this.kill();
        throw this.#error(`does not listen after ${START_MS / 1000} s`);
      }
      await Bun.sleep(5);
    }
    if (this.ended) throw this.#error("ended while starting");
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  /** SIGTERM, and waits for the end, however long the server takes to drain. */
  async end(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }

  /** Ends it in good order if it can, and removes its files. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    this.#child.kill("SIGTERM");
    await this.#child.exited;
    clearTimeout(timer);
    this.#removeFiles();
  }

  #removeFiles(): void {
    const scratch = join(this.#logFile, "..");
    rmSync(scratch, { recursive: true, force: true });
    if (this.#ownFolder) rmSync(this.folder, { recursive: true, force: true });
  }

  /** What it printed last. */
  get output(): string {
    try {
      return readFileSync(this.#logFile, "utf8").slice(-LOG_TAIL).trim();
    } catch {
      return "";
    }
  }

  #error(what: string): Error {
    return new Error(`${this.#peer.name} ${what}: ${this.output}`);
  }
}

/** A port that nobody listens on at this moment. */
function freePort(): number {
  const listener = Bun.listen({
    hostname: "0.0.0.0",
    port: 0,
    socket: { data() {} },
  });
  const { port } = listener;
  listener.stop(true);
  return port;
}

async function accepts(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data() {} },
    });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}
