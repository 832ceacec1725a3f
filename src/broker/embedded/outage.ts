import { StoreError } from "./store.ts";

/** Between two trials. One that meets a lock holds up this thread for as long as a commit waits for it. */
const TRIAL_MS = 1000;
/** Between two beginnings that are told: a disk that is nearly full takes small commits and refuses large ones. */
const TELL_MS = 10_000;

export interface OutageListener {
  /** Commits are refused from now on. */
  readonly onOutage: (reason: string) => void;
  /** They are taken again. Once for each `onOutage`. */
  readonly onRecovery: () => void;
}

/**
 * A time in which the store refuses commits. It ends with a commit that is taken; but messages may stay away, since a server
 * that is not ready gets none: so the store is tried now and then.
 */
export class Outage {
  #lasts = false;
  /** Its beginning was told, its end was not. */
  #told = false;
  #toldAt = -Infinity;
  #timer: Timer | undefined;

  constructor(
    /** Writes something. @returns whether it did: nothing may be written at times @throws StoreError */
    private readonly tryStore: () => boolean,
    private readonly listener: OutageListener,
  ) {}

  get lasts(): boolean {
    return this.#lasts;
  }

  /** A commit was refused. */
  refused(reason: string): void {
    this.#lasts = true;
    this.#timer ??= this.#trial();
    const now = performance.now();
    if (this.#told || now - this.#toldAt < TELL_MS) return;
    this.#told = true;
    this.#toldAt = now;
    this.listener.onOutage(reason);
  }

  /** A commit was taken. */
  taken(): void {
    if (!this.#lasts) return;
    this.close();
    this.#lasts = false;
    if (!this.#told) return;
    this.#told = false;
    this.listener.onRecovery();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #trial(): Timer {
    const timer = setTimeout(() => {
      this.#timer = undefined;
      try {
        if (this.tryStore()) this.taken();
        else this.#timer = this.#trial();
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        this.refused(error.message);
      }
    }, TRIAL_MS);
    timer.unref();
    return timer;
  }
}
