import { isIPv6 } from "node:net";
import { basename } from "node:path";
import { isatty } from "node:tty";
import packageJson from "../package.json" with { type: "json" };
import { exposureWarnings } from "./auth/exposure.ts";
import { helpText, loadConfig, parseCommandLine } from "./config/load.ts";
import type { Config } from "./config/options.ts";
import { openLogOutput } from "./logging/log-output.ts";
import { createLogger } from "./logging/logger.ts";
import { startOnNats, startRoomcast, type Roomcast } from "./roomcast.ts";

/** `bun run src/server.ts`: options, log, server, signals. */

const STDOUT = 1;
/** For the log's last lines, if whoever reads it is slow. */
const FLUSH_MS = 1000;

/** How it was started: inside the executable, modules are not where they were as source. */
const command = import.meta.path.endsWith("/src/server.ts")
  ? "bun run src/server.ts"
  : basename(process.execPath);

/** Before there is a server, or a log: one line for whoever starts it. */
function refuse(message: string): never {
  console.error(`roomcast: ${message}`);
  process.exit(1);
}

function readConfig(): Config {
  const commandLine = parseCommandLine(process.argv.slice(2));
  if (commandLine.help) {
    process.stdout.write(helpText(command));
    process.exit(0);
  }
  if (commandLine.version) {
    console.log(packageJson.version);
    process.exit(0);
  }
  return loadConfig(commandLine, process.env);
}

/** Runs what may fail for a reason that tells itself in one line: a port in use, a folder of somebody else. */
async function orRefuse<T>(start: () => T | Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    return refuse((error as Error).message);
  }
}

const config = await orRefuse(readConfig);
const output = await openLogOutput(STDOUT, isatty(STDOUT));
const logger = createLogger(config.logLevel, output);

let unread = false;
// Wherever it ends, its last lines are the ones that matter.
process.on("exit", () => {
  if (!unread) output.flushSync();
});

function leave(code: number): void {
  output.flush(() => process.exit(code));
  setTimeout(() => {
    unread = true;
    process.exit(code);
  }, FLUSH_MS);
}

// A mistake of ours: what is in memory may be wrong, so nothing more may happen.
function crash(error: unknown): never {
  logger.fatal({ err: error }, "an unexpected error ends the server");
  process.exit(1);
}
process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);

const roomcast: Roomcast = await orRefuse(() =>
  config.nats
    ? startOnNats(
        config,
        (reason) => {
          // Clients come back to a server that knows the store as it is now.
          logger.fatal({ reason }, "this server must be started anew");
          leave(1);
        },
        output,
      )
    : startRoomcast(config, output),
);
// Without a certificate a hangup ends the program, as it does everywhere.
if (config.tlsCert)
  process.on("SIGHUP", () => {
    try {
      roomcast.reloadTls();
      logger.info("SIGHUP: the certificate was read again");
    } catch (error) {
      logger.error(
        { reason: (error as Error).message },
        "SIGHUP: the certificate stays as it was",
      );
    }
  });

let signals = 0;
async function shutDown(signal: string): Promise<void> {
  const { connections } = roomcast;
  if (++signals > 1) {
    logger.warn({ signal, connections }, "second signal: leaving at once");
    return leave(1);
  }
  logger.info({ signal, connections }, "draining");
  // Whatever hangs (a disk, say): the deadline holds. What was acknowledged is stored already.
  setTimeout(() => {
    logger.error("the deadline passed: leaving");
    leave(1);
  }, config.drainTimeoutMs).unref();
  try {
    await roomcast.drain();
  } catch (error) {
    // A full disk, say. What was acknowledged is stored; the next start finds the files as after a kill.
    logger.error({ err: error }, "the end was not clean");
    return leave(1);
  }
  logger.info("done");
  leave(0);
}
process.on("SIGTERM", () => void shutDown("SIGTERM"));
process.on("SIGINT", () => void shutDown("SIGINT"));

// Last: who waits for it may send signals at once.
const { hostname, port } = roomcast.server;
const shown =
  hostname === "0.0.0.0" || hostname === "::"
    ? "localhost"
    : isIPv6(hostname)
      ? `[${hostname}]`
      : hostname;
logger.info(
  `roomcast listens on ${config.tlsCert ? "https" : "http"}://${shown}:${port} (sockets at /chat), history in ${roomcast.historyIn}`,
);
for (const warning of exposureWarnings(config)) logger.warn(warning);
