import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { openLogOutput } from "../../src/logging/log-output.ts";
import { createLogger } from "../../src/logging/logger.ts";
import { prettyLine } from "../../src/logging/pretty.ts";
import { TempFolder } from "../support/server.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

test("a reader that does not read stops nobody; what it gets are whole lines", async () => {
  using folder = new TempFolder();
  const path = join(folder.path, "pipe");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const pipe = openSync(path, constants.O_RDWR);
  const output = await openLogOutput(pipe, false);
  const logger = createLogger("info", output);
  // Many times what a pipe and the output together hold.
  const filler = "x".repeat(1000);
  for (let i = 0; i < 5000; i++) logger.info({ i, filler }, "line");
  // The event loop goes on.
  await new Promise((resolve) => setImmediate(resolve));

  let flushed = false;
  output.flush(() => (flushed = true));
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const bytes = Buffer.alloc(65536);
  let read = "";
  while (!flushed) {
    try {
      read += bytes.toString("utf8", 0, readSync(reader, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  closeSync(reader);
  closeSync(pipe);
  const lines = read.split("\n").slice(0, -1);
  const numbers = lines.map((line) => (JSON.parse(line) as { i: number }).i);
  expect(numbers).toEqual(numbers.map((_, i) => i));
  // A bounded part of what was logged.
  expect(numbers.length).toBeWithin(500, 2000);
});

test("an error is told with its stack, and nothing else that hangs on it", async () => {
  const lines: string[] = [];
  const logger = createLogger("info", { write: (line) => lines.push(line) });
  const error = new TypeError('broken\n\u001b[31m{"level":"fatal"}\n');
  Object.assign(error, { session: "secret", request: { token: "secret" } });
  logger.error({ err: error }, "a request failed");
  logger.error({ err: "not an error" }, "a request failed");
  expect(lines).toHaveLength(2);
  expect(lines.join("")).not.toContain("secret");
  expect(lines.join("")).not.toContain("\u001b");
  const { err } = JSON.parse(lines[0]!) as { err: Record<string, string> };
  expect(err).toEqual({
    name: "TypeError",
    message: error.message,
    stack: error.stack!,
  });
  expect(JSON.parse(lines[1]!)).toMatchObject({
    err: { message: "not an error" },
  });

  const shape = await prettyLine(false);
  const [head, ...rest] = shape(lines[0]!).trimEnd().split("\n");
  expect(head).toMatch(/ERROR: a request failed/);
  // A stack has lines of its own; all are indented, and none of them is the client's.
  for (const line of rest) expect(line).toMatch(/^\s{4,}/);
  expect(rest.some((line) => line.includes("at "))).toBe(true);
  expect(shape(lines[0]!)).not.toMatch(/[\u001b\r]/);
  expect(rest.filter((line) => /^\s*\{"level"/.test(line))).toEqual([]);
});
