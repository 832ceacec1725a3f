import type { Group } from "./plan.ts";

/**
 * The fixed schedule of one group: message k of the group is meant for start + k / (rooms × rate) seconds; rooms take
 * turns first, then the senders within each. So message n of stream (room, sender) has
 * k = n × rooms × senders + sender × rooms + room. All processes derive the same times; each sends its own streams.
 */
export class Schedule {
  /** Messages this process has taken so far. */
  taken = 0;
  readonly #start_us: number;
  readonly #step_us: number;
  readonly #end_us: number;
  readonly #cycle: number;
  /** Places of our streams within a cycle, ascending, and the stream at each. */
  readonly #places: { place: number; stream: number }[];
  #round = 0;
  #at = 0;

  /** `streams`: the ids this process sends for. Times are µs since the run's base; nothing is due at `end_us`. */
  constructor(
    group: Group,
    streams: number[],
    start_us: number,
    end_us: number,
  ) {
    this.#start_us = start_us;
    this.#end_us = end_us;
    this.#step_us =
      group.rate === 0
        ? Number.POSITIVE_INFINITY
        : 1e6 / (group.rooms * group.rate);
    this.#cycle = group.rooms * group.senders;
    this.#places = streams
      .map((stream) => {
        const room = Math.floor((stream - group.first_stream) / group.senders);
        const sender = (stream - group.first_stream) % group.senders;
        return { place: sender * group.rooms + room, stream };
      })
      .sort((a, b) => a.place - b.place);
  }

  /** When the next message is due; infinity after the last. */
  get due(): number {
    if (this.#places.length === 0 || this.#step_us === Number.POSITIVE_INFINITY)
      return Number.POSITIVE_INFINITY;
    const due =
      this.#start_us +
      (this.#round * this.#cycle + this.#places[this.#at]!.place) *
        this.#step_us;
    return due < this.#end_us ? due : Number.POSITIVE_INFINITY;
  }

  /** Takes the message that `due` speaks of: its stream and its number in it. */
  take(): { stream: number; number: number } {
    const taken = {
      stream: this.#places[this.#at]!.stream,
      number: this.#round,
    };
    this.taken++;
    if (++this.#at === this.#places.length) {
      this.#at = 0;
      this.#round++;
    }
    return taken;
  }
}
