/** Lets tests wait for what they will see, instead of for time to pass. */
export class Watchers {
  readonly #looks = new Set<() => void>();

  /** Resolves when `reached` holds; it is looked at now, and at each change. */
  until(reached: () => boolean): Promise<void> {
    if (reached()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = (): void => {
        if (!reached()) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
    });
  }

  changed(): void {
    for (const look of this.#looks) look();
  }
}
