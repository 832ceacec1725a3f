import { readFileSync } from "node:fs";

/**
 * Names the time since the machine was started: what a process wrote without syncing is lost only when this changes.
 * @returns undefined where the system does not tell; then no two starts count as the same boot
 */
export function bootId(): string | undefined {
  try {
    if (process.platform === "linux")
      return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    if (process.platform === "darwin")
      return (
        Bun.spawnSync(["sysctl", "-n", "kern.bootsessionuuid"])
          .stdout.toString()
          .trim() || undefined
      );
  } catch {
    // Not told.
  }
  return undefined;
}
