/** A timer of a quarter of a millisecond costs a seventh of a core at most; JavaScript's own has steps of 1 ms. */
const MIN_PERIOD_MS = 0.25;

/**
 * Wakes the event loop at given times, to about 0.1 ms, by a thread that sleeps in `Atomics.wait`. (`setTimeout` is late
 * by half a millisecond on average, which would be counted as the server's; spinning would take a whole core.)
 */
export class Metronome {
  readonly #worker: Worker;
  /** [0]: 1 while a wake-up is on its way or being handled. */
  readonly #state: Int32Array;
  /** [0]: when to wake next, ms since 1970. */
  readonly #next: Float64Array;
  readonly #ready: Promise<void>;

  constructor(wake: () => void) {
    const state = new SharedArrayBuffer(8);
    const next = new SharedArrayBuffer(8);
    this.#state = new Int32Array(state);
    this.#next = new Float64Array(next);
    this.#state[0] = 1;
    this.#worker = new Worker(
      new URL("./metronome-worker.ts", import.meta.url).href,
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ready = promise;
    this.#worker.onmessage = (event: MessageEvent<string>) => {
      if (event.data === "ready") resolve();
      else wake();
    };
    this.#worker.postMessage({ state, next, min_period_ms: MIN_PERIOD_MS });
  }

  /** Resolves when the thread runs. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** Asks for the next wake-up; to be called once per wake-up (and once to begin). */
  wakeAt(at_ms: number): void {
    this.#next[0] = at_ms;
    Atomics.store(this.#state, 0, 0);
    Atomics.notify(this.#state, 0);
  }

  stop(): void {
    this.#worker.terminate();
  }
}
