import {
  BrokerError,
  type Deletion,
  type Done,
  type Draft,
  type MainBroker,
  type Page,
  type Range,
} from "../broker/broker.ts";
import type { AfterEvents } from "./after-events.ts";
import type { BeforeSend } from "./before-send.ts";
import type { WebhookFigures } from "./figures.ts";

/** How long the end waits for the application to take the last events. */
const CLOSE_MS = 2000;

/**
 * A broker that asks the application before it publishes, and tells it afterwards. Around whichever broker there is, in its
 * thread: without webhooks there is none of this, and a publish stays one synchronous call.
 */
export class WebhookBroker<Origin> implements MainBroker<Origin> {
  constructor(
    private readonly inner: MainBroker<Origin>,
    private readonly before: BeforeSend | undefined,
    private readonly after: AfterEvents | undefined,
    private readonly hindrance: (draft: Draft) => BrokerError | undefined,
  ) {}

  get epoch(): string {
    return this.inner.epoch;
  }

  get figures(): WebhookFigures {
    return { beforeSend: this.before?.figures, events: this.after?.figures };
  }

  get ready(): boolean {
    return this.inner.ready;
  }

  publish(draft: Draft, origin: Origin, done: Done<Origin>): void {
    if (!this.before) {
      this.#publish(draft, origin, done);
      return;
    }
    // What is stored needs nobody's leave any more: to refuse it would tell the sender that it is not.
    if (this.inner.repeat(draft, origin, done)) return;
    this.before.ask(draft, (verdict) => {
      const refusal =
        verdict instanceof BrokerError ? verdict : this.hindrance(verdict);
      if (!refusal) this.#publish(verdict as Draft, origin, done);
      else if (!this.inner.repeat(draft, origin, done))
        done(draft, origin, refusal);
    });
  }

  #publish(draft: Draft, origin: Origin, done: Done<Origin>): void {
    const { after } = this;
    if (!after) {
      this.inner.publish(draft, origin, done);
      return;
    }
    this.inner.publish(draft, origin, (draft, origin, outcome) => {
      done(draft, origin, outcome);
      if (outcome instanceof BrokerError || outcome.duplicate) return;
      const { room, user, from, text, id, data } = draft;
      const { seq, ts } = outcome;
      after.add({
        type: "message_sent",
        message: { room, seq, user, from, text, ts, id, data },
      });
    });
  }

  repeat(draft: Draft, origin: Origin, done: Done<Origin>): boolean {
    return this.inner.repeat(draft, origin, done);
  }

  subscribe(room: string): Promise<number> {
    return this.inner.subscribe(room);
  }

  unsubscribe(room: string): void {
    this.inner.unsubscribe(room);
  }

  reaches(room: string, seq: number): Promise<boolean> {
    return this.inner.reaches(room, seq);
  }

  read(room: string, range: Range): Promise<Page> {
    return this.inner.read(room, range);
  }

  async delete(room: string, target: number): Promise<Deletion> {
    const deletion = await this.inner.delete(room, target);
    // Also of a repeat: the first may have failed after it was stored, or its event may be lost.
    if (deletion !== "missing")
      this.after?.add({ type: "message_deleted", message: { room, target } });
    return deletion;
  }

  async flush(): Promise<void> {
    await this.before?.settled();
    await this.inner.flush();
  }

  async close(): Promise<void> {
    await this.flush();
    await this.inner.close();
    await this.after?.close(CLOSE_MS);
  }
}
