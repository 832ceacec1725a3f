import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { NATS, THREADS } from "../support/server.ts";
import { SuiteRun } from "../support/suite-run.ts";

/** The server's own suites once more, against servers with their history in NATS. */

tellSkipped("the server's suites over NATS");
// The preload's reaches only the first file of a run (Bun 1.4.5). A whole suite each: this only ends what hangs.
setDefaultTimeout(330_000);

/** What is not so over NATS, by suite: parts of the names of tests that are left out. */
const SUITES: Record<string, readonly string[]> = {
  "test/server/protocol.test.ts": [
    // A join may take longer there than changes are collected: then nothing cancels out.
    "members_changed does not tell of what cancels out",
    // A stream numbers the messages of all its rooms: these expect a room's to be 1, 2, 3.
    "join_room sends no history where none was asked for",
    "join_room sends the latest history, ascending",
    "join_room says that there is no more where the history is whole",
    "join_room with since",
    "join_room says that another epoch is not recovered",
    "join_room says that a position beyond the head",
    "join_room with echo false hides",
    "join_room again repositions",
    "join_room works in many rooms at once",
    "send_message is acknowledged",
    "send_message leaves out what was not given",
    "send_message keeps the order of one connection's",
    "send_message may be empty",
    "an idempotency key of another user",
    "get_history answers whole messages",
    "get_history gives",
    "keys that are not known are ignored",
    "clients of all three formats hold one conversation",
  ],
  "test/server/text.test.ts": [],
  "test/server/limits.test.ts": [
    // Seqs of a room, as above.
    "does not hold back another room",
    "stay in memory up to --max-idle-rooms",
    // NATS has a window of time only, and not a short one.
    "are known up to --dedupe-max-keys",
    "are known for --dedupe-window-ms",
    "memory mode",
  ],
  "test/server/lifecycle.test.ts": [
    // What they are about is the data folder.
    "a backup",
    "a schema of an older version",
    "because another server has the folder",
    "because history.db was",
    "because log.db was",
    "under another boot",
    "the data folder and what is in it",
    "in memory mode",
    "one line says where it listens and where history is kept",
    "automatic names go on",
    "epoch, positions, keys, sessions and names go on",
    // Seqs of a room, and its head, which NATS forgets with its last message.
    "retention",
  ],
  "test/invariants.test.ts": [],
};

let nats: NatsServers;
let runs: ReadonlyMap<string, SuiteRun>;
const here = natsServer && !NATS && THREADS === 1;
beforeAll(async () => {
  if (!here) return;
  nats = await NatsServers.start(1);
  // All at once: mostly they wait.
  runs = new Map(
    Object.entries(SUITES).map(([suite, leftOut]) => [
      suite,
      new SuiteRun(suite, { ROOMCAST_TEST_NATS: nats.urls }, leftOut),
    ]),
  );
});
afterAll(async () => {
  for (const run of runs?.values() ?? []) run.kill();
  await nats?.[Symbol.asyncDispose]();
});

test.skipIf(!here).each(Object.keys(SUITES))(
  "%s passes with --nats",
  async (suite) => {
    await runs.get(suite)!.passes();
  },
);
