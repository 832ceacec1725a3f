import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { buildClient } from "../../src/build-client.ts";
import { TempFolder } from "../support/server.ts";

/** What a browser loads for JSON, minified and gzipped. */
const MAX_BYTES = 6144;

test("a browser loads at most 6 KB for JSON, and MessagePack only when it is asked for", async () => {
  using folder = new TempFolder();
  const outputs = await buildClient(folder.path);
  const entry = outputs.find((output) => output.kind === "entry-point")!;
  const code = await entry.text();
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(MAX_BYTES);

  const chunks = outputs.filter((output) => output.kind === "chunk");
  expect(chunks).toHaveLength(1);
  // Nothing is imported before it is needed, and the one thing that is, is the chunk.
  const imports = new Bun.Transpiler({ loader: "js" }).scanImports(code);
  const name = chunks[0]!.path.split("/").at(-1);
  expect(imports).toEqual([{ path: `./${name}`, kind: "dynamic-import" }]);
  expect(await chunks[0]!.text()).toContain("ignoreUndefined");
  expect(code).not.toContain("typebox");
});
