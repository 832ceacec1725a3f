import { clearLine, cursorTo, moveCursor, type Interface } from "node:readline";
import type { WriteStream } from "node:tty";
import type { Screen } from "./conversation.ts";

/** A terminal on which lines come while a person types: what is typed stays below them. */
export class TerminalScreen implements Screen {
  #closed = false;

  constructor(
    private readonly input: Interface,
    private readonly output: WriteStream,
  ) {}

  /** What is still on its way is told also after the last line was typed. */
  close(): void {
    // No prompt is left before what comes next on this terminal.
    this.#rubOut();
    this.#closed = true;
    this.input.close();
  }

  print(line: string): void {
    if (this.#closed) {
      this.output.write(`${line}\n`);
      return;
    }
    this.#rubOut();
    this.output.write(`${line}\n`);
    this.input.prompt(true);
  }

  /** Takes away the line that was just entered: the room's copy of it will come. */
  entered(line: string): void {
    const columns = this.output.columns || 80;
    const length = this.input.getPrompt().length + Bun.stringWidth(line);
    moveCursor(this.output, 0, -Math.max(1, Math.ceil(length / columns)));
    cursorTo(this.output, 0);
    this.output.clearScreenDown();
  }

  #rubOut(): void {
    const { rows } = this.input.getCursorPos();
    if (rows > 0) moveCursor(this.output, 0, -rows);
    cursorTo(this.output, 0);
    clearLine(this.output, 0);
    this.output.clearScreenDown();
  }
}
