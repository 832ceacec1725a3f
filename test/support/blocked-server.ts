import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { startRoomcast } from "../../src/roomcast.ts";

/** A server one of whose gateway threads hangs, where nothing can end it. Flags are those of the command line. */

const config = loadConfig(parseCommandLine(process.argv.slice(2)), {});
const { threads } = startRoomcast(config, process.stderr, {
  program: new URL("./hanging-worker.ts", import.meta.url),
  beatMs: 50,
});
threads!.worker(1).postMessage("block");
// Should it not leave by itself, its test is over by then.
setTimeout(() => process.exit(2), 60_000);
