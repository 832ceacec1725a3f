import { expect, test } from "bun:test";
import {
  LineSplitter,
  type ReadLine,
} from "../../src/terminal/line-splitter.ts";

/** All lines of `input`, given in pieces of `size` bytes. */
function split(input: string, size: number, maxBytes: number): ReadLine[] {
  const bytes = Buffer.from(input);
  const splitter = new LineSplitter(maxBytes);
  const lines: ReadLine[] = [];
  for (let at = 0; at < bytes.length; at += size)
    lines.push(...splitter.push(bytes.subarray(at, at + size)));
  const last = splitter.end();
  return last ? [...lines, last] : lines;
}

test.each([1, 2, 3, 7, 1000])(
  "lines come out the same in pieces of %p bytes",
  (size) => {
    expect(
      split("one\r\n\n🦉 drei\nlonger than twelve bytes\nvier", size, 12),
    ).toEqual([
      { text: "one" },
      { text: "" },
      { text: "🦉 drei" },
      { tooLong: 24 },
      { text: "vier" },
    ]);
    expect(split("end\n", size, 12)).toEqual([{ text: "end" }]);
    expect(split("", size, 12)).toEqual([]);
  },
);
