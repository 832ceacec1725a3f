/** A message on its way. */
export interface Send {
  /** Failed tries. */
  tries: number;
  /** It was sent on this connection, and neither acked nor refused. */
  underWay: boolean;
  /** An earlier try may have been stored. */
  unknown: boolean;
}

/** Sends of a room under way at a time. */
export const MAX_UNDER_WAY = 32;

/**
 * A room's sends, in order. While all is well they are pipelined; after a refusal or a lost connection one goes at a
 * time until those that were affected are through, so that no later one overtakes.
 */
export class Outbox<S extends Send> {
  readonly #sends: S[] = [];
  #underWay = 0;
  /** Sends at the front that are to go one at a time. */
  #careful = 0;
  /** Refusals that ask to wait. */
  #holds = 0;

  /** In order. */
  get all(): S[] {
    return [...this.#sends];
  }

  push(send: S): void {
    this.#sends.push(send);
  }

  /** @returns what may go now; tell `sent` when it does */
  next(): S | undefined {
    const most = this.#careful ? 1 : MAX_UNDER_WAY;
    return this.#holds || this.#underWay >= most
      ? undefined
      : this.#sends.find((send) => !send.underWay);
  }

  sent(send: S): void {
    send.underWay = true;
    this.#underWay++;
  }

  /** It is acked, refused for good, or given up. @returns whether it was here */
  remove(send: S): boolean {
    const index = this.#sends.indexOf(send);
    if (index < 0) return false;
    this.#sends.splice(index, 1);
    if (send.underWay) this.#underWay--;
    if (index < this.#careful) this.#careful--;
    return true;
  }

  /** It was refused for now: nothing goes before a `release`. */
  retry(send: S): void {
    const index = this.#sends.indexOf(send);
    this.#holds++;
    if (index < 0 || !send.underWay) return;
    send.underWay = false;
    send.tries++;
    this.#underWay--;
    this.#careful = Math.max(this.#careful, index + 1);
  }

  /** A hold of before a loss may be released after it. */
  release(): void {
    if (this.#holds) this.#holds--;
  }

  /** Nobody knows what became of those under way. */
  lost(): void {
    this.#sends.forEach((send, index) => {
      if (!send.underWay) return;
      send.underWay = false;
      send.unknown = true;
      this.#careful = Math.max(this.#careful, index + 1);
    });
    this.#underWay = this.#holds = 0;
  }
}
