import { Deque } from "../collections/deque.ts";
import { WebhookError, type Endpoint } from "./endpoint.ts";
import type { EventsFigures } from "./figures.ts";

/** Events in one request, and about how many bytes of them. */
const MAX_BATCH = 100;
const MAX_BATCH_BYTES = 256 * 1024;
/** Events that wait; the oldest go first. */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** Between two lines about dropped events. */
const TELL_DROPPED_MS = 10_000;
const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 30_000;

interface Waiting {
  readonly json: string;
  readonly bytes: number;
}

/**
 * Tells the application what happened, in batches, in order, one request at a time. A batch that is not taken is sent again
 * with the same `webhook-id`, at growing intervals. What waits is bounded: of what had to be dropped, the next batch tells
 * the number.
 */
export class AfterEvents {
  readonly #waiting = new Deque<Waiting>();
  #bytes = 0;
  /** Of the batch that is being sent. */
  #underWay = 0;
  /** Those that no batch has told of. */
  #dropped = 0;
  #toldDroppedAt = -Infinity;
  readonly #counts = { taken: 0, failed: 0, dropped: 0 };
  #sending = false;
  #closed = false;
  #batches = 0;
  readonly #run = crypto.randomUUID();
  #wake: (() => void) | undefined;

  constructor(
    private readonly endpoint: Endpoint,
    /** Told of failures, when they begin and when they are over. */
    private readonly tell: (message: string) => void,
  ) {}

  get figures(): EventsFigures {
    return { ...this.#counts, waiting: this.#waiting.length + this.#underWay };
  }

  add(event: object): void {
    const json = JSON.stringify(event);
    const bytes = Buffer.byteLength(json);
    this.#waiting.push({ json, bytes });
    this.#bytes += bytes;
    while (
      this.#waiting.length > MAX_WAITING ||
      this.#bytes > MAX_WAITING_BYTES
    ) {
      this.#bytes -= this.#waiting.shift()!.bytes;
      this.#drop();
    }
    if (!this.#sending && !this.#closed) void this.#send();
  }

  /** Sends what waits, once more, and no longer than `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    const deadline = performance.now() + timeoutMs;
    this.#wake?.();
    while (this.#sending && performance.now() < deadline) await Bun.sleep(10);
    const { waiting } = this.figures;
    if (waiting > 0)
      this.tell(
        `after events: ${waiting} were not taken by the end of the server, and are lost`,
      );
  }

  #drop(): void {
    this.#dropped++;
    this.#counts.dropped++;
    const now = performance.now();
    if (now - this.#toldDroppedAt < TELL_DROPPED_MS) return;
    this.#toldDroppedAt = now;
    this.tell(
      `after events: more wait than may, the oldest are dropped; ${this.#counts.dropped} since the start`,
    );
  }

  async #send(): Promise<void> {
    this.#sending = true;
    // What happens in this turn goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0 && (await this.#sendBatch()));
    this.#sending = false;
  }

  /** @returns whether it was taken */
  async #sendBatch(): Promise<boolean> {
    const batch: Waiting[] = [];
    let bytes = 0;
    while (
      this.#waiting.length > 0 &&
      batch.length < MAX_BATCH &&
      bytes < MAX_BATCH_BYTES
    ) {
      const one = this.#waiting.shift()!;
      this.#bytes -= one.bytes;
      bytes += one.bytes;
      batch.push(one);
    }
    this.#underWay = batch.length;
    const dropped = this.#dropped;
    const body = `{"type":"events","dropped":${dropped},"events":[${batch
      .map(({ json }) => json)
      .join(",")}]}`;
    const id = `${this.#run}-${++this.#batches}`;
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, MAX_RETRY_MS)) {
      try {
        await this.endpoint.post(id, body);
        this.#dropped -= dropped;
        this.#underWay = 0;
        this.#counts.taken++;
        if (wait > FIRST_RETRY_MS) this.tell("after events: sent again");
        return true;
      } catch (error) {
        if (!(error instanceof WebhookError)) throw error;
        this.#counts.failed++;
        if (wait === FIRST_RETRY_MS)
          this.tell(
            `after events: ${error.message}; they are sent again later`,
          );
        if (this.#closed) return false;
      }
      // Not all in the same moment, where there are several servers.
      await this.#pause(wait * (0.5 + Math.random() / 2));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
