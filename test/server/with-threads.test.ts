import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { THREADS } from "../support/server.ts";

/** The suites that speak to a server once more, against servers with three gateway threads. */

// The preload's reaches only the first file of a run (Bun 1.4.5). All of them, at worst: this only ends what hangs.
setDefaultTimeout(900_000);

/** Suites that run side by side: they wait as much as they work. */
const AT_ONCE = 3;

const ROOT = join(import.meta.dir, "../..");
const SUITES = [
  "test/server/protocol.test.ts",
  "test/server/text.test.ts",
  "test/server/limits.test.ts",
  "test/server/lifecycle.test.ts",
  "test/server/hostile.test.ts",
  "test/server/echo.test.ts",
  "test/server/node-ws.test.ts",
  "test/server/api.test.ts",
  "test/server/api-sanctions.test.ts",
  "test/server/health.test.ts",
  "test/server/log.test.ts",
  "test/server/metrics.test.ts",
  "test/invariants.test.ts",
  "test/crash.test.ts",
  "test/client/faults.test.ts",
  "test/client/random.test.ts",
  "test/protocol/readme.test.ts",
];

let running = 0;
const waiting: (() => void)[] = [];

/** Runs as soon as fewer than AT_ONCE others do, in the order of the calls. */
async function inTurn(run: () => Promise<void>): Promise<void> {
  if (running < AT_ONCE) running++;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    await run();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

describe.concurrent("with three gateway threads", () => {
  test.skipIf(THREADS > 1).each(SUITES)("%s passes", (suite) =>
    inTurn(() => passes(suite)),
  );
});

async function passes(suite: string): Promise<void> {
  const child = Bun.spawn([process.execPath, "test", suite], {
    cwd: ROOT,
    env: { ...process.env, ROOMCAST_TEST_THREADS: "3" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  try {
    const [said, complaint, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    const failures = `${said}\n${complaint}`
      .split("\n")
      .filter((line) => !line.startsWith("(pass)"))
      .join("\n");
    expect(code, failures).toBe(0);
    expect(complaint).toMatch(/^ *[1-9]\d* pass$/m);
  } finally {
    child.kill("SIGKILL");
  }
}
