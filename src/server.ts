import packageJson from "../package.json" with { type: "json" };
import { exposureWarning } from "./auth/exposure.ts";
import { helpText, loadConfig, parseCommandLine } from "./config/load.ts";
import type { Config } from "./config/options.ts";
import { startOnNats, startRoomcast, type Roomcast } from "./roomcast.ts";

/** `bun run src/server.ts`: options, server, signals. */

function fail(message: string): never {
  console.error(`roomcast: ${message}`);
  process.exit(1);
}

function readConfig(): Config {
  const commandLine = parseCommandLine(process.argv.slice(2));
  if (commandLine.help) {
    process.stdout.write(helpText());
    process.exit(0);
  }
  if (commandLine.version) {
    console.log(packageJson.version);
    process.exit(0);
  }
  return loadConfig(commandLine, process.env);
}

async function start(): Promise<{ config: Config; roomcast: Roomcast }> {
  try {
    const config = readConfig();
    const roomcast = config.nats
      ? await startOnNats(config, (reason) =>
          // Clients come back to a server that knows the store as it is now.
          fail(`${reason}: this server must be started anew`),
        )
      : startRoomcast(config);
    return { config, roomcast };
  } catch (error) {
    // Also a port in use, a folder of somebody else, a file of a newer version: all tell themselves in one line.
    return fail((error as Error).message);
  }
}

const { config, roomcast } = await start();
// Without a certificate a hangup ends the program, as it does everywhere.
if (config.tlsCert)
  process.on("SIGHUP", () => {
    try {
      roomcast.reloadTls();
      console.log("roomcast: SIGHUP: the certificate was read again");
    } catch (error) {
      console.error(
        `roomcast: SIGHUP: the certificate stays as it was: ${(error as Error).message}`,
      );
    }
  });

let signals = 0;
async function shutDown(signal: string): Promise<void> {
  if (++signals > 1)
    fail(`second signal: leaving ${roomcast.connections} connections at once`);
  console.log(
    `roomcast: ${signal}: draining ${roomcast.connections} connections`,
  );
  // Whatever hangs (a disk, say): the deadline holds. What was acknowledged is stored already.
  setTimeout(
    () => fail("the deadline passed: leaving"),
    config.drainTimeoutMs,
  ).unref();
  try {
    await roomcast.drain();
  } catch (error) {
    // A full disk, say. What was acknowledged is stored; the next start finds the files as after a kill.
    fail(`the end was not clean: ${(error as Error).message}`);
  }
  console.log("roomcast: done");
  process.exit(0);
}
process.on("SIGTERM", () => void shutDown("SIGTERM"));
process.on("SIGINT", () => void shutDown("SIGINT"));

// Last: who waits for it may send signals at once.
const { hostname, port } = roomcast.server;
const shown =
  hostname === "0.0.0.0" || hostname === "::" ? "localhost" : hostname;
console.log(
  `roomcast listens on ${config.tlsCert ? "https" : "http"}://${shown}:${port} (sockets at /chat), history in ${roomcast.historyIn}`,
);
const warning = exposureWarning(config);
if (warning) console.error(`roomcast: ${warning}`);
