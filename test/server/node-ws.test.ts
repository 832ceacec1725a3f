import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { join } from "node:path";
import { InProcessServer } from "../support/server.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** A client from another ecosystem: Node, with its `ws` package. */

let server: InProcessServer;
beforeAll(() => {
  server = new InProcessServer("--max-messages-per-second", "0");
});
afterAll(() => server.stop());

test.each(["json", "msgpack"])(
  "Node's ws package holds a conversation in %s",
  async (format) => {
    const node = Bun.which("node");
    if (!node)
      throw new Error("there is no `node` on the PATH: this test needs Node");
    const script = join(import.meta.dir, "../support/node-conversation.mjs");
    const child = Bun.spawn([node, script, server.url, format], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [said, complaint, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    expect({ said, complaint, code }).toEqual({
      said: "done\n",
      complaint: "",
      code: 0,
    });
  },
);
