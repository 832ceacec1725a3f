import { TEMPLATES } from "../load/templates.ts";
import type { Peer } from "./peer.ts";
import { serverFile } from "./tools.ts";

/** The controls: `Bun.serve` with nothing around it, see `servers/bare.ts`. */
function bare(mode: "bytes" | "json"): Peer {
  const name = mode === "bytes" ? "bare" : "bare-json";
  return {
    name,
    title: mode === "bytes" ? "bare Bun" : "bare Bun + JSON",
    does:
      mode === "bytes"
        ? "Bun.serve publishes the bytes as they came: no parsing, no ack, no history"
        : "Bun.serve parses, stamps, stringifies, publishes: no ack, no history",
    abilities: [],
    path: "/chat",
    missing: () => null,
    version: () => `Bun ${Bun.version}`,
    command: ({ port }) => [
      process.execPath,
      serverFile("bare.ts"),
      "--port",
      String(port),
      "--mode",
      mode,
    ],
    template: () => TEMPLATES[name]!,
  };
}

export const BARE = bare("bytes");
export const BARE_JSON = bare("json");
