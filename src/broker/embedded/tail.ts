/**
 * Which log rows hold each room's events that the history does not hold yet. Only numbers: the events are in the log,
 * and recent ones in the gateways' rings.
 */
export class Tail {
  readonly #rooms = new Map<string, RoomTail>();
  #count = 0;

  /** Events in all rooms. */
  get count(): number {
    return this.#count;
  }

  add(room: string, seq: number, row: number): void {
    const tail = this.#rooms.get(room);
    if (tail) tail.rows.push(row);
    else this.#rooms.set(room, { first: seq, rows: [row] });
    this.#count++;
  }

  /** @returns the rows of seq `first`, `first + 1`, … or undefined where the history holds all of the room */
  room(name: string): Readonly<RoomTail> | undefined {
    return this.#rooms.get(name);
  }

  /** Forgets rows up to `row`: the history holds them. */
  moved(row: number): void {
    for (const [name, tail] of this.#rooms) {
      const kept = firstAbove(tail.rows, row);
      if (kept === 0) continue;
      this.#count -= kept;
      if (kept === tail.rows.length) {
        this.#rooms.delete(name);
        continue;
      }
      tail.rows.splice(0, kept);
      tail.first += kept;
    }
  }
}

interface RoomTail {
  /** Seq of `rows[0]`. */
  first: number;
  /** Log row numbers, one for each seq. */
  rows: number[];
}

function firstAbove(rows: readonly number[], row: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]! <= row) low = middle + 1;
    else high = middle;
  }
  return low;
}
