/** A line that was read, or how long one was that is too long to be kept. */
export type ReadLine = { readonly text: string } | { readonly tooLong: number };

/** Bytes of a line that are kept; more than any server takes by default. */
export const MAX_LINE_BYTES = 1024 * 1024;

/** Bytes → lines of text, with a bound: a line without an end must not fill the memory. */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  /** Of the line so far, kept or not. */
  #bytes = 0;

  constructor(private readonly maxBytes = MAX_LINE_BYTES) {}

  *push(chunk: Uint8Array): Generator<ReadLine> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#keep(chunk.subarray(start, end));
      yield this.#take();
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** @returns the last line, where it had no newline */
  end(): ReadLine | undefined {
    return this.#bytes > 0 ? this.#take() : undefined;
  }

  #keep(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > this.maxBytes) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }

  #take(): ReadLine {
    const bytes = this.#bytes;
    const parts = this.#parts;
    this.#bytes = 0;
    this.#parts = [];
    if (bytes > this.maxBytes) return { tooLong: bytes };
    const text = new TextDecoder().decode(Buffer.concat(parts));
    return { text: text.replace(/\r$/, "") };
  }
}

const NEWLINE = 10;
