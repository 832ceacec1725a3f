import { Lane } from "./lane.ts";
import type { Place } from "./subjects.ts";

/** Lanes in which nothing is under way, and which stay for the next message of their rooms. */
const IDLE = 1024;

/**
 * The lanes of all rooms that publish. Rooms with a message now and then would have theirs made for each of them: that was 8 %
 * of a gateway's time.
 */
export class Lanes<Origin> {
  readonly #lanes = new Map<string, Lane<Origin>>();
  #max = IDLE;

  get size(): number {
    return this.#lanes.size;
  }

  get(room: string): Lane<Origin> | undefined {
    return this.#lanes.get(room);
  }

  add(place: Place): Lane<Origin> {
    if (this.#lanes.size >= this.#max) this.#dropIdle();
    const lane = new Lane<Origin>(place);
    this.#lanes.set(place.room, lane);
    return lane;
  }

  #dropIdle(): void {
    for (const [room, lane] of this.#lanes)
      if (lane.idle && !lane.troubled && !lane.queued) this.#lanes.delete(room);
    // To look through all of them pays once there are twice as many.
    this.#max = Math.max(IDLE, 2 * this.#lanes.size);
  }
}
