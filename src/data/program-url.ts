const SOURCE = "data/program-url.ts";

/**
 * Where a Worker's program is: beside this file as source, and inside the executable that `bun run build` makes, where all
 * modules are one file and the programs keep their places.
 * @param path from `src`
 */
export function programUrl(path: string): URL {
  const here = new URL(import.meta.url);
  return new URL(here.pathname.endsWith(SOURCE) ? `../${path}` : path, here);
}
