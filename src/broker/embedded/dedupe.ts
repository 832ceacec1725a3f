/**
 * Idempotency keys of stored events, oldest first: a hash table in typed arrays from a key's hash to the number of its
 * log row. 2,000,000 keys take 48 MB and nothing the garbage collector walks; a Map of strings takes 300 MB of it.
 *
 * The table keeps only 32 bits of a key, so that a hit is a candidate: the caller compares it with the stored row.
 */
export class DedupeKeys {
  // A ring of entries, oldest at `#first`; each is a hash and a log row number.
  #hashes: Uint32Array;
  #rows: Float64Array;
  #first = 0;
  #count = 0;
  // Open addressing with linear probing: 0 is empty, otherwise the entry's place in the ring, plus 1.
  #slots: Uint32Array;
  // An attacker who knew the seed could make all keys collide.
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0]!;

  constructor(private readonly maxKeys: number) {
    const initial = 1024;
    this.#hashes = new Uint32Array(initial);
    this.#rows = new Float64Array(initial);
    this.#slots = new Uint32Array(initial * 2);
  }

  get size(): number {
    return this.#count;
  }

  /** Row number of the oldest key; Infinity where there is none. */
  get oldestRow(): number {
    return this.#count ? this.#rows[this.#first]! : Infinity;
  }

  /**
   * FNV-1a over the UTF-16 units, then murmur3's finalizer, so that the low bits depend on all. In JavaScript it costs
   * 50 ns; a native hash needs the three strings joined and copied first, and took four times that.
   */
  hash(room: string, user: string, id: string): number {
    let h = this.#seed;
    h = mix(h, room);
    h = mix(h, user);
    h = mix(h, id);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  }

  /** Adds a key as the youngest. The oldest leaves if there are too many. Rows must come in increasing order. */
  add(hash: number, row: number): void {
    if (this.maxKeys === 0) return;
    if (this.#count === this.maxKeys) this.dropOldest();
    if (this.#count === this.#hashes.length) this.#grow();
    const place = (this.#first + this.#count) % this.#hashes.length;
    this.#hashes[place] = hash;
    this.#rows[place] = row;
    this.#count++;
    this.#insertSlot(place);
  }

  /** @param accept compares the candidate's stored row with the key that is looked for */
  find<T>(hash: number, accept: (row: number) => T | undefined): T | undefined {
    const mask = this.#slots.length - 1;
    for (
      let slot = hash & mask;
      this.#slots[slot] !== 0;
      slot = (slot + 1) & mask
    ) {
      const place = this.#slots[slot]! - 1;
      if (this.#hashes[place] !== hash) continue;
      const found = accept(this.#rows[place]!);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  dropOldest(): void {
    if (this.#count === 0) return;
    this.#removeSlot(this.#first);
    this.#first = (this.#first + 1) % this.#hashes.length;
    this.#count--;
  }

  #insertSlot(place: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashes[place]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = place + 1;
  }

  /** Removal by shifting back (Knuth, TAOCP 6.4, algorithm R): no tombstones, so that probes stay short for ever. */
  #removeSlot(place: number): void {
    const mask = this.#slots.length - 1;
    let hole = this.#hashes[place]! & mask;
    while (this.#slots[hole] !== place + 1) hole = (hole + 1) & mask;
    for (
      let slot = (hole + 1) & mask;
      this.#slots[slot] !== 0;
      slot = (slot + 1) & mask
    ) {
      const home = this.#hashes[this.#slots[slot]! - 1]! & mask;
      const distanceFromHome = (slot - home) & mask;
      const distanceFromHole = (slot - hole) & mask;
      if (distanceFromHome < distanceFromHole) continue;
      this.#slots[hole] = this.#slots[slot]!;
      hole = slot;
    }
    this.#slots[hole] = 0;
  }

  #grow(): void {
    const old = this.#hashes.length;
    const hashes = new Uint32Array(old * 2);
    const rows = new Float64Array(old * 2);
    for (let i = 0; i < this.#count; i++) {
      const place = (this.#first + i) % old;
      hashes[i] = this.#hashes[place]!;
      rows[i] = this.#rows[place]!;
    }
    this.#hashes = hashes;
    this.#rows = rows;
    this.#first = 0;
    this.#slots = new Uint32Array(old * 4);
    for (let i = 0; i < this.#count; i++) this.#insertSlot(i);
  }
}

function mix(h: number, part: string): number {
  for (let i = 0; i < part.length; i++)
    h = Math.imul(h ^ part.charCodeAt(i), 0x01000193);
  // Marks where the part ends; no part holds this unit's value alone.
  return Math.imul(h ^ 0x10000, 0x01000193);
}
