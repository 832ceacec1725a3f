/** Questions to the hub that wait for their answers. What waits is bounded by who asks: a connection asks one at a time. */
export class Requests {
  #last = 0;
  readonly #waiting = new Map<
    number,
    { resolve(answer: unknown): void; reject(error: Error): void }
  >();

  /** @param ask sends the question with its number */
  ask<Answer>(ask: (number: number) => void): Promise<Answer> {
    const number = ++this.#last;
    return new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(number, {
        resolve: resolve as (answer: unknown) => void,
        reject,
      });
      ask(number);
    });
  }

  answer(number: number, answer: unknown): void {
    this.#take(number)?.resolve(answer);
  }

  fail(number: number, error: Error): void {
    this.#take(number)?.reject(error);
  }

  #take(number: number) {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    return waiting;
  }
}
