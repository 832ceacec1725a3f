import { plugin } from "bun";
import { fileURLToPath } from "node:url";

/**
 * Preloaded, it takes all counting for `/metrics` out of the server's hot path while its source is loaded: what is left is the
 * server as it would be without. Every line is named, so that one that changes is missed nowhere.
 */

/** Lines, by file of `src`, and what stands in their place. */
export const COUNTING: Readonly<Record<string, readonly [string, string][]>> = {
  "gateway/chat-socket.ts": [
    ["    this.gateway.stats.framesIn++;\n", ""],
    ["    this.gateway.stats.bytesIn += bytes;\n", ""],
  ],
  "gateway/entry.ts": [
    ["    if (frame !== null) encodes[codec.index]!++;\n", ""],
  ],
  "gateway/fanout.ts": [
    ["      stats.deliveries[index]! += reached;\n", ""],
    [
      "    if (cameAt > 0) this.outlet.stats.deliveryUs.record((now - cameAt) * 1000);\n",
      "",
    ],
  ],
  "gateway/outlet.ts": [
    ["      this.stats.bytesOut += result * members;\n", ""],
    ["    this.stats.bytesOut += bytes * members;\n", ""],
  ],
  "gateway/gateway.ts": [["} else this.stats.eventsIn++;", "}"]],
  "broker/embedded/embedded.ts": [
    ["    this.commits.events.record(batch.length);\n", ""],
    ["    this.commits.us.record((now - began) * 1000);\n", ""],
  ],
  "stats/loop-delay.ts": [
    ["    delayUs.record(Math.max(0, now - due) * 1000);\n", ""],
  ],
};

/** @throws Error the source has no such line, or more than one */
export function withoutCounting(file: string, source: string): string {
  let left = source;
  for (const [line, instead] of COUNTING[file]!) {
    const parts = left.split(line);
    if (parts.length !== 2)
      throw new Error(`src/${file} has not one ${line.trim()}`);
    left = parts.join(instead);
  }
  return left;
}

const SRC = fileURLToPath(new URL("../../src/", import.meta.url));
const files = Object.keys(COUNTING).map((file) => file.replaceAll(".", "\\."));

void plugin({
  name: "uncounted",
  setup(build) {
    build.onLoad(
      { filter: new RegExp(`/src/(${files.join("|")})$`) },
      async ({ path }) => ({
        contents: withoutCounting(
          path.slice(SRC.length),
          await Bun.file(path).text(),
        ),
        loader: "ts",
      }),
    );
  },
});
