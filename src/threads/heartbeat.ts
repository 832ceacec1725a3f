/** How often a gateway thread is asked for a sign of life, in ms. */
export const BEAT_MS = 1000;

export interface Patience {
  /** Beats in a row that a thread may leave unanswered. */
  readonly beats: number;
  /** The same for one that has not answered yet: it may still be loading. */
  readonly startBeats: number;
  /** Beats after which a thread that was told to end must have ended. */
  readonly endBeats: number;
}

export const PATIENCE: Patience = {
  beats: 10,
  startBeats: 30,
  endBeats: 5,
};

/** What is to be done about a thread. */
export type Verdict = "ask" | "end" | "ended in vain" | "wait";

/**
 * Tells a thread that hangs from one that is busy. Beats are counted, not milliseconds: while the main thread itself
 * stands still, or the whole machine, there is none, and nobody is blamed for not having answered in that time.
 */
export class Heartbeat {
  #unanswered = 0;
  #answered = false;
  #ending = false;

  constructor(private readonly patience: Patience = PATIENCE) {}

  /** To be called every `BEAT_MS`. After "ask", `answered` is expected; it answers all that was asked before, too. */
  beat(): Verdict {
    const { beats, startBeats, endBeats } = this.patience;
    const waited = this.#unanswered++;
    if (this.#ending) return waited < endBeats ? "wait" : "ended in vain";
    if (waited < (this.#answered ? beats : startBeats)) return "ask";
    this.#ending = true;
    this.#unanswered = 1;
    return "end";
  }

  /** The thread has answered. */
  answered(): void {
    if (this.#ending) return;
    this.#answered = true;
    this.#unanswered = 0;
  }
}
