import type { Peer } from "../peers/peer.ts";
import type { Case } from "./case.ts";
import { FIGURES, type FigureKey, showFigure } from "./figures.ts";
import type { RoundsTell } from "./rounds.ts";
import type { Measurement } from "./run-file.ts";

/** Progress on the standard error: a line that changes on a terminal, a line per measurement elsewhere. */
export class Ticker implements RoundsTell {
  #head = "";
  #columns: readonly FigureKey[] = [];
  readonly #live = process.stderr.isTTY === true;

  began(one: Case, peer: Peer, done: number, total: number): void {
    this.#head = `[${done + 1}/${total}] ${one.id} ${peer.name}`;
    this.#columns = one.columns;
    this.progress("starting");
  }

  progress(what: string): void {
    if (this.#live) process.stderr.write(`\r${this.#head}: ${what}\x1b[K`);
  }

  ended({ figures, verdict, reasons }: Measurement): void {
    const shown = this.#columns
      .slice(0, 3)
      .flatMap((key) =>
        figures[key] === undefined
          ? []
          : [`${FIGURES[key].title} ${showFigure(key, figures[key])}`],
      );
    if (verdict !== "ok") shown.push(`${verdict}: ${reasons.join("; ")}`);
    this.clear();
    process.stderr.write(`${this.#head}: ${shown.join(", ")}\n`);
  }

  clear(): void {
    if (this.#live) process.stderr.write("\r\x1b[K");
  }
}
