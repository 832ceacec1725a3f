import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TEMPLATES } from "../load/templates.ts";
import type { Peer } from "./peer.ts";
import { firstLine } from "./tools.ts";

/** As open as the other peers: no tokens, everybody may subscribe and publish, no history. For version 6. */
const CONFIG = {
  client: {
    insecure: true,
    allowed_origins: ["*"],
    // A load of thousands comes from one machine.
    connection_limit: 0,
  },
  channel: {
    without_namespace: {
      allow_subscribe_for_client: true,
      allow_publish_for_subscriber: true,
    },
  },
  log: { level: "error" },
};

/** Centrifugo, where its binary is on the PATH. */
export const CENTRIFUGO: Peer = {
  name: "centrifugo",
  title: "Centrifugo",
  does: "passes a client's publication on to the channel's subscribers; no history here",
  abilities: [],
  path: "/connection/websocket",
  missing: () =>
    Bun.which("centrifugo") === null ? "centrifugo is not on the PATH" : null,
  version: () => firstLine(["centrifugo", "version"]) ?? "Centrifugo",
  command: ({ port, folder }) => {
    const file = join(folder, "centrifugo.json");
    writeFileSync(
      file,
      JSON.stringify({
        ...CONFIG,
        http_server: { address: "0.0.0.0", port: String(port) },
      }),
    );
    return ["centrifugo", "--config", file];
  },
  template: () => TEMPLATES.centrifugo!,
};
