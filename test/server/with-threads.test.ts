import { describe, setDefaultTimeout, test } from "bun:test";
import { THREADS } from "../support/server.ts";
import { SuiteRun } from "../support/suite-run.ts";

/** The suites that speak to a server once more, against servers with three gateway threads. */

// The preload's reaches only the first file of a run (Bun 1.4.5). All of them, at worst: this only ends what hangs.
setDefaultTimeout(900_000);

/** Suites that run side by side: they wait as much as they work. */
const AT_ONCE = 4;

/** Those that take longest first: then none is left to run alone. */
const SUITES = [
  "test/server/lifecycle.test.ts",
  "test/server/protocol.test.ts",
  "test/server/limits.test.ts",
  "test/crash.test.ts",
  "test/client/faults.test.ts",
  "test/server/storage-faults.test.ts",
  "test/server/hostile.test.ts",
  "test/webhooks/before-send.test.ts",
  "test/client/random.test.ts",
  "test/server/tokens.test.ts",
  "test/server/metrics.test.ts",
  "test/server/log.test.ts",
  "test/server/text.test.ts",
  "test/server/api.test.ts",
  "test/server/api-sanctions.test.ts",
  "test/server/api-document.test.ts",
  "test/server/moderators.test.ts",
  "test/server/tls.test.ts",
  "test/server/rights.test.ts",
  "test/server/doors.test.ts",
  "test/server/health.test.ts",
  "test/server/echo.test.ts",
  "test/server/node-ws.test.ts",
  "test/webhooks/after-events.test.ts",
  "test/invariants.test.ts",
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
    inTurn(async () => {
      const run = new SuiteRun(suite, { ROOMCAST_TEST_THREADS: "3" });
      try {
        await run.passes();
      } finally {
        run.kill();
      }
    }),
  );
});
