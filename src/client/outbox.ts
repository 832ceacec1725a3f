/** A message on its way. */
export interface Send {
  readonly id: string;
  readonly text: string;
  readonly data: object | undefined;
  /** When it is given up. */
  readonly deadline: number;
  /** Failed tries. */
  tries: number;
  /** It was sent on this connection, and neither acked nor refused. */
  underWay: boolean;
  /** An earlier try may have been stored: by this user, in this epoch. */
  unknown: boolean;
  user: string | undefined;
  epoch: string | undefined;
}

/** Sends of a room under way at a time. */
export const MAX_UNDER_WAY = 32;

/**
 * A room's sends, in order. While all is well they are pipelined; after a refusal or a lost connection one goes at a
 * time until those that were affected are through, so that no later one overtakes. Times are passed in.
 */
export class Outbox<S extends Send> {
  readonly #sends: S[] = [];
  #underWay = 0;
  /** Sends at the front that are to go one at a time. */
  #careful = 0;
  #holdUntil = 0;

  /** In order. */
  get all(): S[] {
    return [...this.#sends];
  }

  push(send: S): void {
    this.#sends.push(send);
  }

  /** @returns what may go now; tell `sent` when it does */
  next(now: number): S | undefined {
    if (now < this.#holdUntil) return undefined;
    if (this.#underWay >= (this.#careful > 0 ? 1 : MAX_UNDER_WAY))
      return undefined;
    return this.#sends.find((send) => !send.underWay);
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
    send.underWay = false;
    if (index < this.#careful) this.#careful--;
    return true;
  }

  /** It was refused for now. */
  retry(send: S, unknown: boolean, holdUntil: number): void {
    const index = this.#sends.indexOf(send);
    if (index < 0 || !send.underWay) return;
    send.underWay = false;
    send.unknown ||= unknown;
    send.tries++;
    this.#underWay--;
    this.#holdUntil = Math.max(this.#holdUntil, holdUntil);
    this.#careful = Math.max(this.#careful, index + 1);
  }

  /** The connection is gone: nobody knows what became of those under way. */
  lost(): void {
    this.#sends.forEach((send, index) => {
      if (!send.underWay) return;
      send.underWay = false;
      send.unknown = true;
      this.#careful = Math.max(this.#careful, index + 1);
    });
    this.#underWay = 0;
    this.#holdUntil = 0;
  }

  /** @returns the first one, where its time is over */
  expired(now: number): S | undefined {
    const first = this.#sends[0];
    return first && first.deadline <= now ? first : undefined;
  }

  /** @returns when to look again, if nothing happens before; Infinity for never */
  wakeAt(now: number): number {
    const deadline = this.#sends[0]?.deadline ?? Infinity;
    const hold = this.#holdUntil;
    return hold > now ? Math.min(deadline, hold) : deadline;
  }
}
