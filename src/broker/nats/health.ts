/** After this long without success, new publishes are refused at once instead of waiting for their deadline. */
const GIVE_UP_MS = 2000;

/** Whether the streams take messages, as publishes and probes find out. */
export class Health {
  /** Since when a stream fails, by index; undefined where it works. */
  readonly #failingSince: (number | undefined)[];

  constructor(
    streams: number,
    /** Ms since the connection was lost; 0 while it is there. */
    private readonly downFor: () => number,
  ) {
    this.#failingSince = new Array<number | undefined>(streams).fill(undefined);
  }

  works(stream: number): void {
    this.#failingSince[stream] = undefined;
  }

  fails(stream: number): void {
    this.#failingSince[stream] ??= performance.now();
  }

  /** Whether a publish to a stream is worth trying. */
  takes(stream: number): boolean {
    if (this.downFor() >= GIVE_UP_MS) return false;
    const since = this.#failingSince[stream];
    return since === undefined || performance.now() - since < GIVE_UP_MS;
  }

  /** Ms for which some stream has failed. */
  get failingFor(): number {
    const since = Math.min(...this.#failingSince.map((at) => at ?? Infinity));
    return since === Infinity ? 0 : performance.now() - since;
  }

  get allTake(): boolean {
    return this.#failingSince.every((_, index) => this.takes(index));
  }
}
