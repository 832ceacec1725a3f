import type { Figures } from "./figures.ts";
import type { Exposition } from "./exposition.ts";

/** The text of `/metrics`. Who asks meanwhile gets the same answer: however many ask, one is made at a time. */
export class Metrics {
  #exposition: Exposition | undefined;
  #making: Promise<string> | undefined;

  constructor(
    private readonly version: string,
    private readonly gather: () => Promise<Figures>,
  ) {}

  text(): Promise<string> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<string> {
    const figures = await this.gather();
    // Loaded by the first who asks: a server that nobody watches starts sooner without it.
    const { Exposition } = await import("./exposition.ts");
    this.#exposition ??= new Exposition(this.version, figures);
    return await this.#exposition.text(figures);
  }
}
