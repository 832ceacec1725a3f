import type { AuthSettings } from "../auth/settings.ts";
import type { Tls } from "../auth/tls.ts";
import type { Config } from "../config/options.ts";
import type { Logger } from "../logging/logger.ts";
import { addStats } from "../stats/add.ts";
import { GatewayStats } from "../stats/gateway-stats.ts";
import type { DrainOptions } from "../gateway/drain.ts";
import type { ThreadStart } from "./gateway-thread.ts";
import { BEAT_MS } from "./heartbeat.ts";
import type { Hub } from "./hub.ts";
import { Link, type GatewayFigures } from "./link.ts";
import { programUrl } from "../data/program-url.ts";
import { claimPort, type ClaimedPort } from "./port.ts";
import { StartSignal } from "./start-signal.ts";
import type { Part } from "./wire.ts";

/** As long may a thread take to load, on a machine that does much else. */
const START_MS = 30_000;
/** Another process may take a port that was picked in the moment between finding and using it. */
const PORT_TRIES = 5;
/** A thread that dies is replaced after this; one that dies again soon, after twice as long. */
const FIRST_RESTART_MS = 50;
const MAX_RESTART_MS = 10_000;

export interface ThreadsOptions {
  readonly config: Config;
  readonly auth: AuthSettings;
  readonly tls: Tls | undefined;
  readonly hub: Hub;
  readonly sessionKey: Uint8Array | string;
  readonly logger: Logger;
  readonly trial?: Trial;
}

/** What tests of threads that hang need: a Worker's program that can be made to, and shorter waits. */
export interface Trial {
  readonly program: URL;
  readonly beatMs: number;
}

interface Thread {
  readonly worker: Worker;
  readonly link: Link;
  readonly signal: StartSignal;
  /** It was ended, because it did not answer. */
  hung: boolean;
}

/** The gateway threads of a server: started, replaced when they die, drained, stopped. */
export class Threads {
  readonly #threads: (Thread | undefined)[] = [];
  readonly #config: Config;
  #claimed: ClaimedPort | undefined;
  #tls: Tls | undefined;
  #ending = false;
  #started = 0;
  /** By thread: what the last replacement waited for. */
  readonly #restartMs: number[] = [];
  readonly #beats: Timer;

  /**
   * Starts the threads, and returns when all of them listen.
   * @throws Error the port cannot be had, or cannot be shared on this system
   */
  constructor(private readonly options: ThreadsOptions) {
    if (process.platform !== "linux")
      throw new Error(
        "--threads: threads cannot share a port on this system; allowed is 1",
      );
    this.#config = shareOf(options.config);
    this.#tls = options.tls;
    const { threads } = options.config;
    try {
      for (let i = 0; i < threads; i++)
        this.#threads.push(this.#start(i, undefined));
      for (const { signal } of this.#all) signal.wait("loaded", START_MS);
      this.#claimed = this.#listen();
    } catch (error) {
      this.#ending = true;
      for (const { worker } of this.#all) worker.terminate();
      throw error;
    }
    this.#beats = setInterval(
      () => this.#beat(),
      options.trial?.beatMs ?? BEAT_MS,
    );
  }

  get port(): number {
    return this.#claimed!.port;
  }

  /** What each gateway has in memory. */
  inspect(): Promise<GatewayFigures[]> {
    return Promise.all(this.#all.map(({ link }) => link.inspect()));
  }

  /** Connections from now on get this certificate, also those of threads that are replaced. */
  changeTls(tls: Tls): void {
    this.#tls = tls;
    for (const { link } of this.#all)
      link.channel.send("tls", tls.cert, tls.key);
  }

  /** What the hub and all threads have counted, those that are gone too. */
  async stats(): Promise<GatewayStats> {
    const { hub } = this.options;
    await Promise.all(this.#all.map(({ link }) => link.refreshStats()));
    const sum = new GatewayStats();
    addStats(sum, hub.stats);
    for (const { stats } of hub.links) addStats(sum, stats);
    return sum;
  }

  /** Sends all connections away; resolves when they are gone. A thread that dies meanwhile is not replaced. */
  async drain({
    timeoutMs,
    graceMs,
    connections,
  }: DrainOptions): Promise<void> {
    this.#ending = true;
    // Who is asked to leave and comes back at once must not find a thread that has not heard of it.
    await Promise.all(
      this.#all.map(({ link }) => {
        link.channel.send("refuse");
        return link.inspect();
      }),
    );
    await Promise.all(
      this.#all.map(({ link }) => {
        link.channel.send("drain", timeoutMs, graceMs, connections);
        return link.drained.promise;
      }),
    );
  }

  /** Closes what is left, lets go of the port, ends the threads. */
  async stop(): Promise<void> {
    this.#ending = true;
    await Promise.all(
      this.#all.map(async ({ worker, link }) => {
        link.channel.send("stop");
        await link.stopped.promise;
        link.close();
        worker.terminate();
      }),
    );
    clearInterval(this.#beats);
    this.#claimed?.release();
  }

  /** A thread's Worker. For tests of what comes after its end. */
  worker(index: number): Worker {
    return this.#threads[index]!.worker;
  }

  get #all(): Thread[] {
    return this.#threads.filter((thread) => thread !== undefined);
  }

  #listen(): ClaimedPort {
    const { host, port } = this.#config;
    for (let tries = 1; ; tries++) {
      const claimed = claimPort(host, port);
      try {
        for (const { link, signal } of this.#all) {
          signal.reset();
          link.channel.send("listen", claimed.port);
          link.channel.flush();
        }
        for (const { signal } of this.#all) signal.wait("listening", START_MS);
        return claimed;
      } catch (error) {
        claimed.release();
        if (port !== 0 || tries === PORT_TRIES) throw error;
      }
    }
  }

  #start(index: number, port: number | undefined): Thread {
    const signal = new StartSignal();
    const worker = new Worker(
      this.options.trial?.program ?? programUrl("threads/worker.ts"),
    );
    const post = (message: ThreadStart | Part[]): void =>
      worker.postMessage(message);
    const link = new Link(this.options.hub, post);
    const thread: Thread = { worker, link, signal, hung: false };
    const started = performance.now();
    worker.onmessage = ({ data }: MessageEvent<Part[]>) =>
      link.channel.receive(data);
    let failure = "";
    worker.onerror = (event) => {
      event.preventDefault();
      failure = event.message;
    };
    worker.addEventListener("close", () => {
      link.close();
      this.#threads[index] = undefined;
      if (this.#ending) return;
      const lived = performance.now() - started;
      const end = thread.hung ? "did not answer, was ended" : "ended";
      this.options.logger.error(
        { thread: index, ...(failure === "" ? {} : { failure }) },
        `a gateway thread ${end} and is replaced; its clients reconnect`,
      );
      this.#replace(index, lived);
    });
    post({
      config: this.#config,
      auth: this.options.auth,
      tls: this.#tls,
      epoch: this.options.hub.broker.epoch,
      sessionKey: this.options.sessionKey,
      run: `${Date.now().toString(36)}${(this.#started++).toString(36)}`,
      port,
      signal: signal.memory,
    });
    return thread;
  }

  /** Finds threads that hang. One in JavaScript can be ended, whatever it does; its sockets are closed then. */
  #beat(): void {
    for (const [index, thread] of this.#threads.entries()) {
      if (!thread) continue;
      const { worker, link } = thread;
      switch (link.heartbeat.beat()) {
        case "ask":
          link.channel.send("beat");
          break;
        case "end":
          thread.hung = true;
          worker.terminate();
          break;
        case "ended in vain":
          // It hangs below JavaScript, and keeps its share of the port: new connections would hang too.
          this.options.logger.fatal(
            { thread: index },
            "a gateway thread does not answer and cannot be ended: leaving, to be started again",
          );
          process.exit(1);
      }
    }
  }

  #replace(index: number, lived: number): void {
    const last = this.#restartMs[index];
    const wait =
      last === undefined || lived > MAX_RESTART_MS
        ? FIRST_RESTART_MS
        : Math.min(2 * last, MAX_RESTART_MS);
    this.#restartMs[index] = wait;
    setTimeout(() => {
      if (!this.#ending) this.#threads[index] = this.#start(index, this.port);
    }, wait);
  }
}

/** What each thread may take of what is limited for all together. */
function shareOf(config: Config): Config {
  const share = (whole: number): number => Math.ceil(whole / config.threads);
  return {
    ...config,
    maxBufferedBytes: share(config.maxBufferedBytes),
    ringBytes: share(config.ringBytes),
    maxIdleRooms: share(config.maxIdleRooms),
  };
}
