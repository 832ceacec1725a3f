/** Typed listeners. A listener that throws stops nobody else: its error becomes an uncaught one. */
export class Emitter<Events> {
  readonly #listeners: { [E in keyof Events]?: Set<(payload: any) => void> } =
    {};

  /** @returns a function that takes the listener away */
  on<E extends keyof Events>(
    event: E,
    listener: (payload: Events[E]) => void,
  ): () => void {
    const listeners = (this.#listeners[event] ??= new Set());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  protected emit<E extends keyof Events>(event: E, payload: Events[E]): void {
    for (const listener of [...(this.#listeners[event] ?? [])])
      try {
        listener(payload);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
  }
}
