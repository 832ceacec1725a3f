import { natsServer, NATS_HOW } from "../../test/support/nats.ts";
import type { Peer } from "./peer.ts";
import { ROOMCAST } from "./roomcast.ts";
import { firstLine, packageVersion } from "./tools.ts";

const PROGRAM = new URL("../special/nats-broker.ts", import.meta.url).pathname;

const missing = (): string | null =>
  natsServer === undefined ? NATS_HOW : null;
const version = (): string => firstLine([natsServer!, "--version"]) ?? "NATS";

const gateways = (count: number, name: string, title: string): Peer => ({
  ...ROOMCAST,
  name,
  title,
  does: `${count === 1 ? "one gateway" : `${count} gateways, members of a room spread over them,`} with NATS JetStream in place of SQLite`,
  nats: { gateways: count },
  missing,
  version: () => `${ROOMCAST.version()}, ${version()}`,
});

/** One gateway, and two that act as one. */
export const ROOMCAST_NATS = gateways(1, "roomcast-nats", "roomcast, NATS");
export const ROOMCAST_NATS_2 = gateways(
  2,
  "roomcast-nats-2",
  "2 roomcast, NATS",
);

/** What publishes from its own process, without sockets. */
const publisher = (
  contender: "bare" | "broker",
  peer: Pick<Peer, "name" | "title" | "does" | "version">,
): Peer => ({
  ...peer,
  abilities: ["history"],
  path: "",
  nats: { gateways: 0 },
  missing,
  command: ({ flags }) => [
    process.execPath,
    "run",
    PROGRAM,
    "--contender",
    contender,
    ...flags,
  ],
  template: ROOMCAST.template,
});

/** The control of what NATS can do: its own client, doing nothing else. */
export const JETSTREAM = publisher("bare", {
  name: "jetstream",
  title: "bare JetStream",
  does: "the JetStream client publishes with ids and hears what is republished: no parsing, no order after a failure, no sockets",
  version: () =>
    `@nats-io/jetstream ${packageVersion("@nats-io/jetstream")}, ${version()}`,
});

export const NATS_BROKER = publisher("broker", {
  name: "nats-broker",
  title: "NATS broker",
  does: "roomcast's broker over NATS, used from its own process: no sockets",
  version: () => `${ROOMCAST.version()}, ${version()}`,
});
