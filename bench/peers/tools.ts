import { existsSync, readFileSync } from "node:fs";

/** The path of a server program that is part of this benchmark. */
export const serverFile = (name: string): string =>
  new URL(`./servers/${name}`, import.meta.url).pathname;

/** The version of an installed package; null if it is not installed. */
export function packageVersion(name: string): string | null {
  const file = new URL(
    `../../node_modules/${name}/package.json`,
    import.meta.url,
  ).pathname;
  if (!existsSync(file)) return null;
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string })
    .version;
}

/** "v20.1.2"; null without Node. */
export const nodeVersion = (): string | null =>
  Bun.which("node") === null ? null : firstLine(["node", "--version"]);

/** What a command prints first; null if it fails. */
export function firstLine(command: string[]): string | null {
  const { success, stdout } = Bun.spawnSync(command, { stderr: "ignore" });
  return success ? stdout.toString().split("\n", 1)[0]!.trim() : null;
}
