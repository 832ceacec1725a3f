import { spreadAddresses } from "../load/addresses.ts";
import {
  processesNeeded,
  type Progress,
  runLoad,
} from "../load/coordinator.ts";
import type { LoadPlan } from "../load/plan.ts";
import type { Peer } from "../peers/peer.ts";
import { Deployment } from "../peers/deployment.ts";
import { type Case, groupPlan } from "./case.ts";
import { measureCrash } from "../special/crash.ts";
import { measureDrain } from "../special/drain.ts";
import { measureResume } from "../special/resume-storm.ts";
import { measurePublish } from "../special/publish.ts";
import { storedFolder } from "../special/stored.ts";
import { judge } from "./judge.ts";
import type { Measurement } from "./run-file.ts";

/** What a measurement may take beyond its own seconds before its server is killed. */
const OVERTIME_SECONDS = 90;
const DRAIN_SECONDS = 5;
const SILENCE_SECONDS = 2;

export type Tell = (what: string) => void;
type Finding = Omit<Measurement, "case" | "peer" | "round">;

/**
 * Measures one case of one peer, once, on a server process of its own. Never throws: what could not be done is a
 * `failed` measurement that says why.
 */
export async function measure(
  one: Case,
  peer: Peer,
  round: number,
  tell: Tell,
): Promise<Measurement> {
  const finding = await find(one, peer, tell).catch(
    (error: Error): Finding => ({
      verdict: "failed",
      reasons: [error.message],
      figures: {},
      histograms: {},
      load: null,
    }),
  );
  return { case: one.id, peer: peer.name, round, ...finding };
}

async function find(one: Case, peer: Peer, tell: Tell): Promise<Finding> {
  const stored = one.stored_events > 0 && peer.abilities.includes("history");
  const folder = stored ? await storedFolder(one, tell) : null;
  const deployment = await Deployment.start(one, peer, folder);
  let late = false;
  const seconds = one.warmup_seconds + one.seconds + OVERTIME_SECONDS;
  const deadline = setTimeout(() => {
    late = true;
    void deployment.kill();
  }, seconds * 1000);
  try {
    if (one.kind === "crash")
      return await measureCrash(one, peer, deployment.servers[0]!, tell);
    if (one.kind === "resume")
      return await measureResume(one, peer, deployment.servers[0]!, tell);
    if (one.kind === "drain")
      return await measureDrain(one, deployment.servers[0]!, tell);
    if (peer.nats?.gateways === 0)
      return await measurePublish(one, peer, deployment);
    const plan = await loadPlan(one, peer, deployment.servers);
    const result = await runLoad({
      plan,
      pids: deployment.pids,
      beneath: deployment.natsPids,
      onProgress: (progress) => tell(progressText(progress)),
    });
    return judge(one, result);
  } catch (error) {
    if (late)
      throw new Error(
        `not done after ${Math.round(seconds)} s: the server was killed`,
      );
    const what = deployment.ended
      ? "the server ended while it was measured"
      : (error as Error).message;
    const said = deployment.output;
    throw new Error(said === "" ? what : `${what} (it said: ${said})`);
  } finally {
    clearTimeout(deadline);
    await deployment.stop();
  }
}

/** The load generator's plan for a case on running servers. */
export async function loadPlan(
  one: Case,
  peer: Peer,
  servers: readonly { url: string }[],
): Promise<LoadPlan> {
  // Rooms of `stored` are the ones that were filled.
  const prefix = one.stored_events > 0 ? "stored-" : "bench-";
  const plan: LoadPlan = {
    targets: await Promise.all(
      servers.map(async ({ url }) => ({
        url,
        addresses: await spreadAddresses(url, undefined),
      })),
    ),
    templates: one.formats.map((format) => peer.template(format)),
    groups: one.groups.map((group, index) => groupPlan(group, index, prefix)),
    text_bytes: one.text_bytes,
    echo: true,
    warmup_seconds: one.warmup_seconds,
    seconds: one.seconds,
    drain_seconds: DRAIN_SECONDS,
    silence_seconds: SILENCE_SECONDS,
    closed_loop: one.closed_loop,
    processes: 1,
    connect_concurrency: one.connect_concurrency,
    connect_timeout_seconds: 20,
    base_ms: Date.now(),
  };
  // Handshakes of a storm come from both sides of the machine.
  plan.processes = Math.max(
    processesNeeded(plan),
    one.connect_concurrency > 128 ? 2 : 1,
  );
  return plan;
}

function progressText({ phase, connected, sent, delivered }: Progress): string {
  const count = (value: number): string => value.toLocaleString("en-US");
  return phase === "connecting"
    ? `connecting: ${count(connected)}`
    : `${phase}: ${count(sent)} sent, ${count(delivered)} delivered`;
}
