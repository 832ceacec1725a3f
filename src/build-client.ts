import { rmSync } from "node:fs";
import { join } from "node:path";

/** `bun run build-client`: the client as other runtimes and browsers take it, with its types, in `dist`. */

const root = join(import.meta.dir, "..");

/**
 * One entry, and MessagePack in a chunk of its own that nobody loads without asking for the format.
 * @throws AggregateError what cannot be built
 */
export async function buildClient(
  folder: string,
): Promise<Bun.BuildArtifact[]> {
  const { outputs } = await Bun.build({
    entrypoints: [join(root, "src/client/index.ts")],
    outdir: folder,
    target: "browser",
    format: "esm",
    splitting: true,
    minify: true,
    // The entry has one chunk, which imports none: there is nothing to load ahead.
    modulePreload: false,
  });
  return outputs;
}

/** Declarations of the client and of what it takes from the protocol, `@internal` members left out. */
async function buildTypes(folder: string): Promise<void> {
  const { exited } = Bun.spawn(
    [
      join(root, "node_modules/.bin/tsc"),
      ...["--ignoreConfig", "src/client/index.ts", "--outDir", folder],
      ...["--rootDir", "src", "--declaration", "--emitDeclarationOnly"],
      ...["--stripInternal", "--strict", "--skipLibCheck"],
      ...["--target", "esnext", "--module", "preserve", "--types", "bun-types"],
      "--allowImportingTsExtensions",
    ],
    { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
  );
  if ((await exited) !== 0) throw new Error("tsc failed");
}

if (import.meta.main) {
  const dist = join(root, "dist");
  rmSync(dist, { recursive: true, force: true });
  await buildTypes(dist);
  for (const { path, size } of await buildClient(join(dist, "client")))
    console.log(`${path}: ${size} bytes`);
}
