import { Auth } from "../auth/auth.ts";
import type { AuthSettings } from "../auth/settings.ts";
import type { Tls } from "../auth/tls.ts";
import { Pacer } from "../broker/embedded/pacer.ts";
import type { Config } from "../config/options.ts";
import { drainPeers } from "../gateway/drain.ts";
import type { Origin } from "../gateway/entry.ts";
import { Gateway } from "../gateway/gateway.ts";
import { startHousekeeping } from "../gateway/housekeeping.ts";
import type { Listeners } from "../gateway/listeners.ts";
import type { Order } from "../gateway/orders.ts";
import { serve } from "../gateway/serve.ts";
import { createLogger } from "../logging/logger.ts";
import { measureLoopDelay } from "../stats/loop-delay.ts";
import { Sessions } from "../gateway/sessions.ts";
import { createApiFront, firstOf } from "../api/front.ts";
import { moderatorsOf } from "../api/moderators.ts";
import { pageIf } from "../web/page.ts";
import { Channel } from "./channel.ts";
import { Requests } from "./requests.ts";
import { StartSignal } from "./start-signal.ts";
import { ThreadApi } from "./thread-api.ts";
import { ThreadBroker } from "./thread-broker.ts";
import { ThreadDirectory } from "./thread-directory.ts";
import {
  TO_HUB,
  TO_THREAD,
  type Part,
  type ToHub,
  type ToThread,
} from "./wire.ts";

/** What a gateway thread is started with. */
export interface ThreadStart {
  readonly config: Config;
  readonly auth: AuthSettings;
  readonly tls: Tls | undefined;
  readonly epoch: string;
  readonly sessionKey: Uint8Array | string;
  /** Tells this gateway's connections from those of another gateway or run. */
  readonly run: string;
  /** Where to listen at once; undefined: `listen` will tell. */
  readonly port: number | undefined;
  /** Of a StartSignal. */
  readonly signal: SharedArrayBuffer;
}

/**
 * From how many calls a millisecond on, of all threads, they wait for each other as commits do: each message wakes the
 * main thread, which would find two or three calls in it (26.4 against 23.5 µs of CPU per delivery, p99 28 against 19 ms:
 * 500 rooms of two, 20,000 messages/s, two threads).
 */
const BUSY_CALLS_PER_MS = 3;

/** A gateway in a thread of its own: sockets, rooms, fan-out. Broker and directory are the hub's. */
export class GatewayThread {
  readonly #channel: Channel<ToHub, ToThread>;
  readonly #gateway: Gateway;
  readonly #signal: StartSignal;
  readonly #api: ThreadApi;
  #server: Listeners | undefined;
  #housekeeping: Timer | undefined;
  #draining = false;
  readonly #texts = new Requests();

  constructor(
    private readonly start: ThreadStart,
    post: (batch: Part[]) => void,
  ) {
    const { config, epoch } = start;
    this.#signal = new StartSignal(start.signal);
    const pacer = new Pacer(
      config.commitPaceMs,
      BUSY_CALLS_PER_MS / config.threads,
    );
    const channel = (): Channel<ToHub, ToThread> => this.#channel;
    const broker = new ThreadBroker<Origin>(
      epoch,
      channel,
      (...event) => this.#gateway.deliverEntry(...event),
      config.maxUncommittedEvents,
    );
    const directory = new ThreadDirectory(channel, {
      presenceChanged: (room, told) =>
        this.#gateway.presenceChanged(room, told),
      note: (note) => this.#gateway.noteFromElsewhere(note),
    });
    this.#api = new ThreadApi(channel);
    const logger = createLogger(config.logLevel, {
      // A line is not worth a message: where the hub does not keep up, it is left out.
      write: (line) => {
        if (!this.#channel.full) this.#channel.send("log", line);
      },
    });
    this.#gateway = new Gateway(
      config,
      broker,
      directory,
      new Auth(start.auth, (message) => logger.warn(message)),
      (topic, frame, compress, except) =>
        this.#server!.publish(topic, frame, compress, except),
      logger,
    );
    measureLoopDelay(this.#gateway.stats.loopDelayUs);
    this.#channel = new Channel<ToHub, ToThread>({
      post: (batch, calls) => {
        pacer.committed(performance.now(), calls);
        post(batch);
      },
      out: TO_HUB,
      in: TO_THREAD,
      handlers: {
        ...broker.calls,
        ...directory.calls,
        ...this.#api.calls,
        carryOut: (number, order) =>
          this.#channel.send(
            "carriedOut",
            number,
            this.#gateway.carryOut(JSON.parse(order) as Order),
          ),
        listen: (port) => this.#listen(port),
        tls: (cert, key) => this.#changeTls({ cert, key }),
        inspect: (number) =>
          this.#channel.send(
            "inspected",
            number,
            this.#gateway.connections.size,
            this.#gateway.rooms.count,
          ),
        stats: (number) =>
          this.#channel.send(
            "counted",
            number,
            JSON.stringify(this.#gateway.stats),
          ),
        metrics: (number, text) => this.#texts.answer(number, text),
        refuse: () => {
          this.#draining = true;
        },
        drain: (timeoutMs, graceMs, connections) =>
          void this.#drain(timeoutMs, graceMs, connections),
        stop: () => void this.#stop(),
        beat: () => this.#channel.send("alive"),
      },
      later: (flush) => {
        const wait = pacer.wait(performance.now());
        if (wait > 0) setTimeout(flush, wait);
        // What all sockets said in this turn goes together.
        else setImmediate(flush);
      },
    });
    if (start.port === undefined) this.#signal.tell("loaded");
    else this.#serve(start.port);
  }

  receive(batch: Part[]): void {
    this.#channel.receive(batch);
  }

  /** At the start, when the main thread waits for it. */
  #listen(port: number): void {
    try {
      this.#serve(port);
      this.#signal.tell("listening");
    } catch (error) {
      this.#signal.tell("failed", (error as Error).message);
    }
  }

  /** @throws Error it cannot listen there */
  #serve(port: number): void {
    const { config, sessionKey, run, tls } = this.start;
    // Another try: another thread could not have the port before.
    void this.#server?.stop();
    this.#server = serve({
      config: { ...config, port },
      gateway: this.#gateway,
      sessions: new Sessions(sessionKey, config.sessionDays),
      draining: () => this.#draining,
      otherwise: firstOf(
        createApiFront(
          config,
          this.#api.handle,
          moderatorsOf(this.#gateway),
          this.#gateway.logger,
          this.#gateway.stats,
        ),
        pageIf(config.page),
      ),
      run,
      metrics:
        config.metrics === "on"
          ? () =>
              this.#texts.ask((number) => this.#channel.send("metrics", number))
          : undefined,
      reusePort: true,
      tls,
    });
    this.#housekeeping ??= startHousekeeping(this.#gateway);
  }

  #changeTls(tls: Tls): void {
    try {
      this.#server!.change(tls);
    } catch (error) {
      this.#gateway.logger.error(
        { reason: (error as Error).message },
        "a gateway thread cannot use the certificate",
      );
    }
  }

  async #drain(
    timeoutMs: number,
    graceMs: number,
    connections: number,
  ): Promise<void> {
    const { peers } = this.#gateway;
    await drainPeers(peers, { timeoutMs, graceMs, connections });
    this.#channel.send("drained");
  }

  async #stop(): Promise<void> {
    clearInterval(this.#housekeeping);
    await this.#server?.stop();
    this.#channel.send("stopped");
  }
}
