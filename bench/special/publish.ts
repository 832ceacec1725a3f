import type { Deployment } from "../peers/deployment.ts";
import type { Peer } from "../peers/peer.ts";
import { alsoRunning } from "../peers/server-process.ts";
import type { Case } from "../run/case.ts";
import type { Measurement } from "../run/run-file.ts";

/** What `nats-broker.ts` prints. */
export interface Published {
  published_per_second: number;
  /** Of its own process and of NATS, per message. */
  cpu_us: number;
  nats_cpu_us: number;
  /** From a message's sending to its end. */
  p50_us: number;
  p99_us: number;
  /** The whole histogram, encoded. */
  latency: string;
  sent: number;
  heard: number;
}

/**
 * Has a peer publish by itself, as much as it can with one message of each room in flight.
 * @throws Error it ended before it was done
 */
export async function measurePublish(
  one: Case,
  peer: Peer,
  deployment: Deployment,
): Promise<Omit<Measurement, "case" | "peer" | "round">> {
  const rooms = String(one.groups[0]!.rooms);
  const child = Bun.spawn(
    peer.command({
      port: 0,
      folder: "",
      flags: [
        ...deployment.natsFlags(one.nats!),
        ...["--pid", deployment.natsPids.join(",")],
        ...["--rooms", rooms, "--in-flight", rooms],
        ...["--bytes", String(one.text_bytes)],
        ...["--warmup", String(one.warmup_seconds)],
        ...["--seconds", String(one.seconds)],
      ],
    }),
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const forget = alsoRunning([child]);
  const [printed, said] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const code = await child.exited;
  forget();
  if (code !== 0) throw new Error(`${peer.name} ended (${code}): ${said}`);
  const { sent, heard, latency, ...took } = JSON.parse(printed) as Published;
  return {
    verdict: sent === heard ? "ok" : "failed",
    reasons: sent === heard ? [] : [`heard ${heard} of ${sent} messages`],
    figures: {
      published_per_second: took.published_per_second,
      cpu_us_per_event: took.cpu_us,
      nats_us_per_event: took.nats_cpu_us,
      p50_us: took.p50_us,
      p99_us: took.p99_us,
    },
    histograms: { publishes: latency },
    load: null,
  };
}
