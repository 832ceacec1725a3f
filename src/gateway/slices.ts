import { CODECS } from "../protocol/codecs.ts";

/** Some of a room's members: what one turn of the event loop serves. */
export class Slice {
  members = 0;
  /** Members by `codec.index`. */
  readonly counts: number[] = CODECS.map(() => 0);
  /** Native topics by `codec.index`. */
  readonly topics: readonly string[];

  constructor(
    room: string,
    readonly index: number,
    /** Absolute position in the room's queue of the next entry for this slice. */
    public cursor: number,
    /** Seq of the last event this slice was given. */
    public position: number,
  ) {
    this.topics = CODECS.map((codec) => `${room}#${index}/${codec.name}`);
  }
}

/** A room's members in slices of a bounded size, each with a cursor of its own. */
export class Slices {
  readonly #slices: Slice[] = [];
  #turn = 0;
  /** Members by `codec.index`. */
  readonly #counts: number[] = CODECS.map(() => 0);
  #codecs = 0;

  constructor(
    private readonly room: string,
    private readonly maxMembers: number,
  ) {}

  get length(): number {
    return this.#slices.length;
  }

  get all(): readonly Slice[] {
    return this.#slices;
  }

  /** The codecs that members use: bit `1 << codec.index` for each. */
  get codecs(): number {
    return this.#codecs;
  }

  /**
   * @param atLeast a seq that the new member already has: a slice behind it would repeat what it knows
   * @returns a slice with a place for it, if there is one
   */
  find(atLeast: number): Slice | undefined {
    return this.#slices.find(
      (slice) => slice.members < this.maxMembers && slice.position >= atLeast,
    );
  }

  /** A fresh slice. @param end where the room's queue ends; the slice has all before it, up to seq `head` */
  add(end: number, head: number): Slice {
    const slice = new Slice(this.room, this.#slices.length, end, head);
    this.#slices.push(slice);
    return slice;
  }

  join(slice: Slice, codec: number): void {
    slice.members++;
    slice.counts[codec]!++;
    if (this.#counts[codec]!++ === 0) this.#codecs |= 1 << codec;
  }

  leave(slice: Slice, codec: number): void {
    slice.members--;
    slice.counts[codec]!--;
    if (--this.#counts[codec]! === 0) this.#codecs &= ~(1 << codec);
    while (
      this.#slices.length > 0 &&
      this.#slices[this.#slices.length - 1]!.members === 0
    )
      this.#slices.pop();
  }

  /** @returns the next slice in turn that has not reached `end`; undefined where all have */
  next(end: number): Slice | undefined {
    for (let tried = 0; tried < this.#slices.length; tried++) {
      const slice = this.#slices[this.#turn++ % this.#slices.length]!;
      if (slice.cursor < end) return slice;
    }
    return undefined;
  }

  /** @returns the lowest cursor, `end` where there are no slices */
  lowest(end: number): number {
    let lowest = end;
    for (const slice of this.#slices)
      if (slice.cursor < lowest) lowest = slice.cursor;
    return lowest;
  }
}
