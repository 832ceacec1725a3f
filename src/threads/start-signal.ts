const WAITING = 0;
const HEAD_BYTES = 12;
const TEXT_BYTES = 2048;

export type Stage = "loaded" | "listening" | "failed";
const STAGES: readonly Stage[] = ["loaded", "listening", "failed"];

/**
 * How a gateway thread that starts tells the main thread how far it is. Shared memory and no message: at the start there is
 * nothing else to do than to wait, and whoever starts a server gets a port or an error back, not a promise.
 */
export class StartSignal {
  readonly #head: Int32Array;
  readonly #text: Uint8Array;

  constructor(
    readonly memory = new SharedArrayBuffer(HEAD_BYTES + TEXT_BYTES),
  ) {
    this.#head = new Int32Array(memory, 0, HEAD_BYTES / 4);
    this.#text = new Uint8Array(memory, HEAD_BYTES);
  }

  /** In the thread. @param why what failed */
  tell(stage: Stage, why = ""): void {
    // Text in shared memory is not text for `encodeInto`.
    const text = new TextEncoder().encode(why).subarray(0, TEXT_BYTES);
    this.#text.set(text);
    Atomics.store(this.#head, 1, text.length);
    Atomics.store(this.#head, 0, STAGES.indexOf(stage) + 1);
    Atomics.notify(this.#head, 0);
  }

  /**
   * In the main thread: waits until the thread is at this stage.
   * @throws Error it has failed, or takes too long
   */
  wait(stage: Stage, timeoutMs: number): void {
    const wanted = STAGES.indexOf(stage) + 1;
    const started = performance.now();
    for (;;) {
      const reached = Atomics.load(this.#head, 0);
      if (reached === wanted) return;
      if (STAGES[reached - 1] === "failed") throw new Error(this.#why());
      const left = timeoutMs - (performance.now() - started);
      if (left <= 0)
        throw new Error(
          `a gateway thread is not ${stage} after ${timeoutMs} ms`,
        );
      Atomics.wait(this.#head, 0, reached, left);
    }
  }

  /** For another try. */
  reset(): void {
    Atomics.store(this.#head, 0, WAITING);
  }

  #why(): string {
    return new TextDecoder().decode(
      this.#text.slice(0, Atomics.load(this.#head, 1)),
    );
  }
}
