import type { Subprocess } from "bun";
import type { FromGenerator, ToGenerator } from "./messages.ts";
import type { LoadPlan } from "./plan.ts";

type Kind = FromGenerator["type"];
type Of<K extends Kind> = Extract<FromGenerator, { type: K }>;

const QUIT_MS = 3000;

/** A generator process as its coordinator sees it. */
export class GeneratorProcess {
  progress = { connected: 0, sent: 0, delivered: 0 };
  readonly #child: Subprocess;
  readonly #waiting = new Map<Kind, PromiseWithResolvers<FromGenerator>>();
  #failure: Error | null = null;
  #stopping = false;

  constructor(plan: LoadPlan, process: number) {
    this.#child = Bun.spawn(
      [
        globalThis.process.execPath,
        new URL("./generator-entry.ts", import.meta.url).pathname,
      ],
      {
        stdio: ["ignore", "inherit", "inherit"],
        serialization: "json",
        ipc: (message: FromGenerator) => this.#heard(message),
        onExit: (_, code, signal) => {
          if (!this.#stopping)
            this.#fail(
              new Error(`generator ${process} ended (${signal ?? code})`),
            );
        },
      },
    );
    this.tell({ type: "plan", plan, process });
  }

  tell(message: ToGenerator): void {
    this.#child.send(message);
  }

  /** The next message of a kind; one caller at a time. Rejects if the process fails or ends before. */
  async next<K extends Kind>(kind: K): Promise<Of<K>> {
    const message = await this.#expect(kind).promise;
    this.#waiting.delete(kind);
    return message as Of<K>;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      return;
    this.tell({ type: "quit" });
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), QUIT_MS);
    await this.#child.exited;
    clearTimeout(timer);
  }

  #heard(message: FromGenerator): void {
    if (message.type === "progress") this.progress = message;
    else if (message.type === "failed") this.#fail(new Error(message.message));
    else {
      const waiting = this.#expect(message.type);
      // Kept: it may come before it is asked for.
      waiting.resolve(message);
    }
  }

  #expect(kind: Kind): PromiseWithResolvers<FromGenerator> {
    let waiting = this.#waiting.get(kind);
    if (waiting === undefined) {
      waiting = Promise.withResolvers<FromGenerator>();
      waiting.promise.catch(() => {});
      if (this.#failure !== null) waiting.reject(this.#failure);
      this.#waiting.set(kind, waiting);
    }
    return waiting;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
  }
}
