import packageJson from "../../package.json" with { type: "json" };
import { TEMPLATES } from "../load/templates.ts";
import type { Peer } from "./peer.ts";

const ENTRY = new URL("../../src/server.ts", import.meta.url).pathname;

/** This project's server, history and acks on; only the limits that protect it from one busy client are off. */
export const ROOMCAST: Peer = {
  name: "roomcast",
  title: "roomcast",
  does: "validates, sequences, stores in SQLite, publishes, acks; history and resume on",
  abilities: ["history", "resume", "msgpack", "threads"],
  path: "/chat",
  missing: () => null,
  version: () => `roomcast ${packageJson.version} on Bun ${Bun.version}`,
  command: ({ port, folder, flags }) => [
    process.execPath,
    "run",
    ENTRY,
    "--port",
    String(port),
    "--data",
    folder,
    "--max-connections-per-address",
    "0",
    "--max-messages-per-second",
    "0",
    "--max-requests-per-second",
    "0",
    ...flags,
  ],
  template: (format) => TEMPLATES[`roomcast-${format}`]!,
};

const UNCOUNTED = new URL("../special/uncounted.ts", import.meta.url).pathname;

/** The same without counting for `/metrics`, to see what that costs. */
export const ROOMCAST_UNCOUNTED: Peer = {
  ...ROOMCAST,
  name: "roomcast-uncounted",
  title: "roomcast, uncounted",
  does: "the same, with all counting for metrics taken out of its source",
  onlyNamed: true,
  command(place) {
    const [bun, run, ...rest] = ROOMCAST.command(place);
    return [bun!, run!, "--preload", UNCOUNTED, ...rest];
  },
};
