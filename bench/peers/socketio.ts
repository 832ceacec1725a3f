import { TEMPLATES } from "../load/templates.ts";
import type { Peer } from "./peer.ts";
import { nodeVersion, packageVersion, serverFile } from "./tools.ts";
import { missingOnNode } from "./ws.ts";

/** Node with Socket.IO: see `servers/socketio.mjs`. */
export const SOCKETIO: Peer = {
  name: "socketio",
  title: "Node + Socket.IO",
  does: "receives an event, stamps, emits to the room, acks; no history",
  abilities: [],
  path: "/socket.io/",
  missing: () => missingOnNode("socket.io"),
  version: () =>
    `Socket.IO ${packageVersion("socket.io")} on Node ${nodeVersion()}`,
  command: ({ port }) => ["node", serverFile("socketio.mjs"), String(port)],
  template: () => TEMPLATES.socketio!,
};
