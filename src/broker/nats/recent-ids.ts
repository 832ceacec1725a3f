/** The messages' ids that this gateway published or heard of, so that a repeat can be told without asking NATS. */
export class RecentIds {
  /** By what NATS knows an id by, in the order in which they came. */
  readonly #byKey = new Map<
    string,
    { readonly seq: number; readonly ts: number }
  >();

  constructor(
    /** More than so many are forgotten, the earliest first. 0: none are kept. */
    private readonly max: number,
    /** Ms after which NATS forgets an id: then a repeat is another message. */
    private readonly windowMs: number,
  ) {}

  get none(): boolean {
    return this.max === 0;
  }

  /** @param ts of the message, ms since 1970 */
  add(key: string, seq: number, ts: number): void {
    if (this.none || this.#byKey.has(key)) return;
    this.#byKey.set(key, { seq, ts });
    if (this.#byKey.size > this.max)
      this.#byKey.delete(this.#byKey.keys().next().value!);
  }

  /** @param now ms since 1970 */
  get(
    key: string,
    now: number,
  ): { readonly seq: number; readonly ts: number } | undefined {
    const known = this.#byKey.get(key);
    if (!known || now - known.ts < this.windowMs) return known;
    this.#byKey.delete(key);
    return undefined;
  }
}
