import { join } from "node:path";
import { mkdirSync } from "node:fs";
import { openFileLimit } from "./load/process-stats.ts";
import { PEERS, peerNamed } from "./peers/list.ts";
import type { Peer } from "./peers/peer.ts";
import { killAllServers } from "./peers/server-process.ts";
import { renderReport } from "./report/report.ts";
import { printComparison } from "./run/compare.ts";
import { listText, offeredBy } from "./run/list.ts";
import { measure } from "./run/measure.ts";
import { commit, machine } from "./run/machine.ts";
import { HELP, parseRunOptions, type RunOptions } from "./run/options.ts";
import { Ticker } from "./run/ticker.ts";
import { runRounds, unable } from "./run/rounds.ts";
import { readRunFile, type RunFile } from "./run/run-file.ts";
import { printRun } from "./run/table.ts";
import { type Case, chooseCases } from "./run/case.ts";
import { scenarios } from "./scenarios.ts";

/** The benchmark's command line; `--help` says all. */
async function main(args: string[]): Promise<number> {
  const command = parseRunOptions(args);
  switch (command.type) {
    case "help":
      process.stdout.write(HELP);
      return 0;
    case "list":
      process.stdout.write(listText(scenarios(openFileLimit("self")), PEERS));
      return 0;
    case "compare":
      process.stdout.write(
        printComparison(
          await readRunFile(command.before),
          await readRunFile(command.after),
        ),
      );
      return 0;
    case "report": {
      const file = command.file.replace(/\.json$/, "") + ".html";
      await Bun.write(file, renderReport(await readRunFile(command.file)));
      console.log(file);
      return 0;
    }
    case "run":
      return await run(command.options, args);
  }
}

async function run(options: RunOptions, args: string[]): Promise<number> {
  const cases = chooseCases(
    scenarios(openFileLimit("self")),
    options.tier,
    options.only,
  );
  const peers = choosePeers(options.peers, cases);
  const able = peers.filter((peer) => peer.missing() === null);
  const started = new Date();
  const began = performance.now();
  let interrupted = false;
  const interrupt = (): void => {
    // A second one does not wait.
    if (interrupted) process.exit(130);
    interrupted = true;
    killAllServers();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  process.on("exit", killAllServers);
  const ticker = new Ticker();
  const { measurements, notes } = await runRounds(
    cases,
    able,
    options,
    ticker,
    {
      measure,
      now: () => performance.now() / 1000,
      stopped: () => interrupted,
    },
  );
  ticker.clear();
  const result: RunFile = {
    version: 1,
    started_at: started.toISOString(),
    seconds: (performance.now() - began) / 1000,
    command: ["bun run bench", ...args].join(" "),
    commit: commit(),
    machine: machine(),
    peers: peers.map((peer) => ({
      name: peer.name,
      title: peer.title,
      does: peer.does,
      version: peer.missing() === null ? peer.version() : "",
      missing: peer.missing(),
    })),
    cases: cases.map((one) => ({
      id: one.id,
      scenario: one.scenario,
      title: one.title,
      control: one.control,
      columns: one.columns,
      offered: offeredBy(one),
    })),
    measurements,
    notes,
  };
  mkdirSync(options.out, { recursive: true });
  const name = started.toISOString().replace(/[:.]/g, "-").slice(0, 19);
  const file = join(options.out, `${name}.json`);
  await Bun.write(file, `${JSON.stringify(result)}\n`);
  await Bun.write(file.replace(/json$/, "html"), renderReport(result));
  process.stdout.write(`\n${printRun(result)}`);
  console.log(
    `${Math.round(result.seconds)} s; ${file} and, to look at, .html beside it`,
  );
  if (interrupted) return 130;
  return measurements.some(({ verdict }) => verdict === "failed") ? 1 : 0;
}

/** The peers asked for and, before them, the controls of the cases. */
function choosePeers(names: string[], cases: Case[]): Peer[] {
  const wanted =
    names.length === 0
      ? PEERS
      : PEERS.filter((peer) => names.map(peerNamed).includes(peer));
  const controls = new Set<string>(cases.map(({ control }) => control));
  return PEERS.filter(
    (peer) =>
      (controls.has(peer.name) || wanted.includes(peer)) &&
      cases.some((one) => unable(one, peer) !== ""),
  );
}

try {
  process.exit(await main(Bun.argv.slice(2)));
} catch (error) {
  console.error(
    `${(error as Error).message}\nbun run bench --help lists the options`,
  );
  process.exit(2);
}
