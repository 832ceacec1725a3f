import type { RunClock } from "./clock.ts";
import type { Target } from "./connection.ts";
import { type Histogram, newHistogram, recordUs } from "./histogram.ts";
import type { Member } from "./member.ts";
import type { LoadPlan } from "./plan.ts";
import { fill } from "./templates.ts";

/** Connects members, at most `connect_concurrency` handshakes at a time. */
export class Connector {
  connected = 0;
  /** From the start of connecting to the join's answer, in µs. */
  readonly histogram: Histogram = newHistogram();
  readonly #plan: LoadPlan;
  readonly #clock: RunClock;
  readonly #urls: URL[];
  readonly #reasons: Record<string, number> = {};
  #queue: Member[] = [];
  #at = 0;
  #failed = 0;
  #pending = new Set<Member>();
  #finish: (() => void) | null = null;

  constructor(plan: LoadPlan, clock: RunClock) {
    this.#plan = plan;
    this.#clock = clock;
    this.#urls = plan.targets.map(({ url }) => new URL(url));
  }

  /** Resolves when each of these has joined or failed; failures are counted by reason, over all calls. */
  async connectAll(
    members: Member[],
  ): Promise<{ failed: number; reasons: Record<string, number> }> {
    this.#queue = members;
    this.#at = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#finish = resolve;
    const watch = setInterval(() => this.#timeOut(), 500);
    this.#more();
    await promise;
    clearInterval(watch);
    return { failed: this.#failed, reasons: this.#reasons };
  }

  joined(member: Member): void {
    if (!this.#pending.delete(member)) return;
    this.connected++;
    recordUs(this.histogram, this.#clock.now() - member.connecting_since_us);
    this.#more();
  }

  /** True if the member was still connecting; then its end is a failure of this phase. */
  ended(member: Member, reason: string): boolean {
    if (!this.#pending.delete(member)) return false;
    this.#failed++;
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    this.#more();
    return true;
  }

  #more(): void {
    while (
      this.#pending.size < this.#plan.connect_concurrency &&
      this.#at < this.#queue.length
    ) {
      const member = this.#queue[this.#at++]!;
      this.#pending.add(member);
      member.connecting_since_us = this.#clock.now();
      member.connection.connect(this.#target(member));
    }
    if (this.#pending.size === 0 && this.#at === this.#queue.length)
      this.#finish?.();
  }

  #timeOut(): void {
    const oldest_us =
      this.#clock.now() - this.#plan.connect_timeout_seconds * 1e6;
    for (const member of this.#pending)
      if (member.connecting_since_us < oldest_us) {
        const what = member.connection.open
          ? "no answer to the join"
          : "no answer to the handshake";
        member.connection.end(
          `${what} within ${this.#plan.connect_timeout_seconds} s`,
        );
      }
  }

  #target({ template, names, target }: Member): Target {
    const url = this.#urls[target]!;
    const tls = url.protocol === "wss:";
    const query = [url.search.slice(1), template.query]
      .filter((part) => part !== "")
      .join("&");
    const { addresses } = this.#plan.targets[target]!;
    return {
      hostname: addresses[names.index % addresses.length]!,
      port: Number(url.port) || (tls ? 443 : 80),
      tls,
      host: url.host,
      path: fill(
        decodeURI(url.pathname) + (query === "" ? "" : `?${query}`),
        names,
      ),
      protocol: template.subprotocol,
    };
  }
}
