/** Deletions that the history does not know of yet: it may still hold what they deleted. */
export class Deletions {
  /** By room, the targets with the log rows of their deletions. */
  readonly #rooms = new Map<string, Map<number, number>>();

  get any(): boolean {
    return this.#rooms.size > 0;
  }

  add(room: string, target: number, row: number): void {
    const targets = this.#rooms.get(room);
    if (targets) targets.set(target, row);
    else this.#rooms.set(room, new Map([[target, row]]));
  }

  /** @returns targets in a room; undefined where there are none */
  room(name: string): ReadonlyMap<number, number> | undefined {
    return this.#rooms.get(name);
  }

  /** Forgets rows up to `row`: the history has done the same. */
  moved(row: number): void {
    for (const [room, targets] of this.#rooms) {
      for (const [target, deletion] of targets)
        if (deletion <= row) targets.delete(target);
      if (targets.size === 0) this.#rooms.delete(room);
    }
  }
}
