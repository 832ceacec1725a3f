import { cpus, release, totalmem } from "node:os";
import { openFileLimit } from "../load/process-stats.ts";
import { nodeVersion } from "../peers/tools.ts";
import type { Machine } from "./run-file.ts";

export const machine = (): Machine => ({
  cpus: cpus().length,
  model: cpus()[0]?.model ?? "unknown",
  memory_bytes: totalmem(),
  kernel: release(),
  bun: Bun.version,
  node: nodeVersion(),
  open_files: openFileLimit("self"),
});

/** The commit that is measured, with a `+` where files differ from it; "unknown" outside a checkout. */
export function commit(): string {
  const git = (...args: string[]): string | null => {
    if (Bun.which("git") === null) return null;
    const { success, stdout } = Bun.spawnSync(["git", ...args], {
      cwd: new URL("../..", import.meta.url).pathname,
      stderr: "ignore",
    });
    return success ? stdout.toString().trim() : null;
  };
  const head = git("rev-parse", "--short=12", "HEAD");
  if (head === null) return "unknown";
  const changed = git("--no-optional-locks", "status", "--porcelain");
  return changed === "" ? head : `${head}+`;
}

export const machineText = (of: Machine): string =>
  `${of.cpus} cores (${of.model.trim()}), ${Math.round(of.memory_bytes / 2 ** 30)} GiB, Linux ${of.kernel}`;
