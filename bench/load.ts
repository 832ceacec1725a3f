import { HELP } from "./load/help.ts";
import { spreadAddresses } from "./load/addresses.ts";
import { processesNeeded, type Progress, runLoad } from "./load/coordinator.ts";
import {
  describePlan,
  type LoadOptions,
  parseOptions,
} from "./load/options.ts";
import { printResult, thousands } from "./load/print.ts";

/** The load generator's command line; `--help` says all. */
async function main(): Promise<number> {
  let options: LoadOptions | null;
  try {
    options = parseOptions(Bun.argv.slice(2));
  } catch (error) {
    console.error(
      `${(error as Error).message}\nbun run bench/load.ts --help lists the options`,
    );
    return 2;
  }
  if (options === null) {
    console.log(HELP);
    return 0;
  }
  const { plan, pids, json } = options;
  try {
    for (const target of plan.targets)
      target.addresses = await spreadAddresses(target.url, options.addresses);
    const needed = processesNeeded(plan);
    if (needed > plan.processes) {
      console.error(
        `${needed} generator processes instead of ${plan.processes}: the open-file limit asks for it`,
      );
      plan.processes = needed;
    }
    console.error(describePlan(plan));
    const result = await runLoad({ plan, pids, onProgress: showProgress });
    clearProgress();
    process.stdout.write(
      json ? `${JSON.stringify(result)}\n` : `\n${printResult(result)}`,
    );
    return result.failures.length > 0 ? 1 : 0;
  } catch (error) {
    clearProgress();
    console.error((error as Error).message);
    return 2;
  }
}

function showProgress({ phase, connected, sent, delivered }: Progress): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(
    `\r${phase}: ${thousands(connected)} connected, ${thousands(sent)} sent, ${thousands(delivered)} delivered\x1b[K`,
  );
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

process.exit(await main());
