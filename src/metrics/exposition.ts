import { Counter, Gauge, Registry } from "prom-client";
import type { NatsFigures } from "../broker/nats/nats.ts";
import { CODEC_NAMES } from "../protocol/codec.ts";
import { CommitStats } from "../stats/commit-stats.ts";
import type { GatewayStats } from "../stats/gateway-stats.ts";
import type { Histogram } from "../stats/histogram.ts";
import { registerHistogram } from "./copied-histogram.ts";
import type { HookFigures, WebhookFigures } from "../webhooks/figures.ts";
import type { Figures } from "./figures.ts";

const US_PER_S = 1e6;
const NO_NATS: NatsFigures = { up: false, inFlight: 0, reconnects: 0 };

/**
 * Figures in Prometheus's text format, every name with `roomcast_` before it. Labels are formats, codes and limits of this
 * program: nothing that clients name, so that there are as many lines on the last day as on the first.
 */
export class Exposition {
  readonly #registry = new Registry();
  #figures!: Figures;

  /** @param shape what there is to tell: of which broker */
  constructor(
    version: string,
    shape: Pick<Figures, "commits" | "nats" | "webhooks">,
  ) {
    this.#process(version);
    this.#gateway();
    if (shape.commits) this.#commits();
    if (shape.nats) this.#nats();
    if (shape.webhooks) this.#webhooks(shape.webhooks);
  }

  async text(figures: Figures): Promise<string> {
    this.#figures = figures;
    return await this.#registry.metrics();
  }

  #process(version: string): void {
    this.#gauge(
      "info",
      "The version that runs, and Bun's.",
      (gauge) => gauge.set({ version, bun: Bun.version }, 1),
      ["version", "bun"],
    );
    this.#gauge(
      "process_start_time_seconds",
      "When the process started, in seconds since 1970.",
      (gauge) => gauge.set(Math.round(performance.timeOrigin) / 1000),
    );
    this.#gauge(
      "process_resident_memory_bytes",
      "Memory of the process.",
      (gauge) => gauge.set(process.memoryUsage.rss()),
    );
    this.#counter(
      "process_cpu_seconds_total",
      "Processor time of all threads.",
      (counter) => {
        const { user, system } = process.cpuUsage();
        counter.inc((user + system) / US_PER_S);
      },
    );
  }

  #gateway(): void {
    const stats = (): GatewayStats => this.#figures.gateway;
    this.#gauge("connections", "Connections with a user.", (gauge) =>
      gauge.set(this.#figures.connections),
    );
    this.#gauge("users", "Users online.", (gauge) =>
      gauge.set(this.#figures.users),
    );
    this.#gauge("rooms", "Rooms in memory.", (gauge) =>
      gauge.set(this.#figures.rooms),
    );
    this.#counter(
      "connections_opened_total",
      "Connections with a user that were opened.",
      (counter) => counter.inc(stats().connectionsOpened),
    );
    this.#counter("frames_in_total", "Frames from clients.", (counter) =>
      counter.inc(stats().framesIn),
    );
    this.#counter(
      "bytes_in_total",
      "Payloads of frames from clients.",
      (counter) => counter.inc(stats().bytesIn),
    );
    this.#counter(
      "events_in_total",
      "Messages of this server's clients and of its HTTP API that were stored.",
      (counter) => counter.inc(stats().eventsIn),
    );
    this.#counter(
      "duplicates_total",
      "Messages that were stored before, under the same idempotency key.",
      (counter) => counter.inc(stats().duplicates),
    );
    this.#byFormat(
      "deliveries_total",
      "Events and notes handed to members' sockets.",
      () => stats().deliveries,
    );
    this.#byFormat(
      "encodes_total",
      "Events and notes turned into a frame.",
      () => stats().encodes,
    );
    this.#counter(
      "bytes_out_total",
      "Payloads of frames handed to sockets of /chat.",
      (counter) => counter.inc(stats().bytesOut),
    );
    this.#counter(
      "slow_consumers_closed_total",
      "Connections closed for too many unsent bytes.",
      (counter) => counter.inc(stats().slowConsumers),
    );
    this.#labelled(
      "errors_total",
      "Error frames and refused requests.",
      "code",
      () => stats().errors,
    );
    this.#labelled(
      "api_requests_total",
      "Answers of the HTTP API, by status.",
      "status",
      () => stats().apiAnswers,
    );
    this.#labelled(
      "refused_total",
      "Refusals by the limit that was met.",
      "limit",
      () => stats().refused,
    );
    this.#seconds(
      "delivery_seconds",
      "From a message's frame to its hand-over to the last slice of its room, for messages of this server's clients.",
      6,
      23,
      () => stats().deliveryUs,
    );
    this.#seconds(
      "event_loop_delay_seconds",
      "How late timers are, sampled in every thread that serves.",
      7,
      23,
      () => stats().loopDelayUs,
    );
  }

  #commits(): void {
    const commits = (): CommitStats =>
      this.#figures.commits ?? new CommitStats();
    registerHistogram(this.#registry, {
      name: "roomcast_commit_events",
      help: "Events in one commit.",
      scale: 1,
      first: 0,
      last: 15,
      read: () => commits().events,
    });
    this.#seconds(
      "commit_seconds",
      "What a commit of the log took.",
      4,
      22,
      () => commits().us,
    );
  }

  #nats(): void {
    const nats = (): NatsFigures => this.#figures.nats ?? NO_NATS;
    this.#gauge(
      "nats_up",
      "1 while the connection to NATS is there.",
      (gauge) => gauge.set(nats().up ? 1 : 0),
    );
    this.#gauge(
      "nats_in_flight",
      "Messages sent to NATS and not yet acknowledged.",
      (gauge) => gauge.set(nats().inFlight),
    );
    this.#counter(
      "nats_reconnects_total",
      "Connections to NATS after the first.",
      (counter) => counter.inc(nats().reconnects),
    );
  }

  /** @param shape what there is to tell: of which webhooks */
  #webhooks(shape: WebhookFigures): void {
    const now = (): WebhookFigures => this.#figures.webhooks ?? shape;
    const hooks = (): [string, HookFigures][] => {
      const { beforeSend, events } = now();
      return [
        ...(beforeSend ? [["before_send", beforeSend] as const] : []),
        ...(events ? [["events", events] as const] : []),
      ].map(([hook, figures]) => [hook, figures]);
    };
    this.#counter(
      "webhook_requests_total",
      "Requests to the application, by whether it took them.",
      (counter) => {
        for (const [hook, { taken, failed }] of hooks()) {
          counter.inc({ hook, outcome: "taken" }, taken);
          counter.inc({ hook, outcome: "failed" }, failed);
        }
      },
      ["hook", "outcome"],
    );
    this.#gauge(
      "webhook_waiting",
      "Messages or events that wait for the application.",
      (gauge) => {
        for (const [hook, { waiting }] of hooks()) gauge.set({ hook }, waiting);
      },
      ["hook"],
    );
    if (shape.events)
      this.#counter(
        "webhook_events_dropped_total",
        "Events that the application is not told of: too many waited.",
        (counter) => counter.inc(now().events?.dropped ?? 0),
      );
  }

  #gauge(
    name: string,
    help: string,
    set: (gauge: Gauge) => void,
    labelNames: string[] = [],
  ): void {
    new Gauge({
      name: `roomcast_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        set(this);
      },
    });
  }

  /** @param set adds what was counted in all to a counter at zero */
  #counter(
    name: string,
    help: string,
    set: (counter: Counter) => void,
    labelNames: string[] = [],
  ): void {
    new Counter({
      name: `roomcast_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        set(this);
      },
    });
  }

  #labelled(
    name: string,
    help: string,
    label: string,
    read: () => Record<string, number>,
  ): void {
    this.#counter(
      name,
      help,
      (counter) => {
        for (const [value, count] of Object.entries(read()))
          counter.inc({ [label]: value }, count);
      },
      [label],
    );
  }

  #byFormat(name: string, help: string, read: () => readonly number[]): void {
    this.#labelled(name, help, "format", () =>
      Object.fromEntries(
        read().map((count, index) => [CODEC_NAMES[index]!, count]),
      ),
    );
  }

  #seconds(
    name: string,
    help: string,
    first: number,
    last: number,
    read: () => Histogram,
  ): void {
    registerHistogram(this.#registry, {
      name: `roomcast_${name}`,
      help,
      scale: US_PER_S,
      first,
      last,
      read,
    });
  }
}
