import { TEMPLATES } from "../load/templates.ts";
import type { Peer } from "./peer.ts";
import { nodeVersion, packageVersion, serverFile } from "./tools.ts";

/** Node with `ws`: see `servers/ws.mjs`. */
export const WS: Peer = {
  name: "ws",
  title: "Node + ws",
  does: "parses, stamps, stringifies once, sends to each member, acks; no history",
  abilities: [],
  path: "/chat",
  missing: () => missingOnNode("ws"),
  version: () => `ws ${packageVersion("ws")} on Node ${nodeVersion()}`,
  command: ({ port }) => ["node", serverFile("ws.mjs"), String(port)],
  template: () => TEMPLATES.ws!,
};

/** Why a server made of Node and one package cannot be started; null if it can. */
export function missingOnNode(name: string): string | null {
  if (nodeVersion() === null) return "node is not on the PATH";
  return packageVersion(name) === null
    ? `the package ${name} is not installed (bun install)`
    : null;
}
