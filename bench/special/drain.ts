import {
  encodeHistogram,
  newHistogram,
  quantiles,
  recordUs,
} from "../load/histogram.ts";
import { sampleProcess } from "../load/process-stats.ts";
import type { ServerProcess } from "../peers/server-process.ts";
import type { Case } from "../run/case.ts";
import type { Tell } from "../run/measure.ts";
import type { Measurement } from "../run/run-file.ts";
import { ChatClient, type Frame } from "./chat-client.ts";

/** Handshakes in flight while all connect at first. */
const IN_FLIGHT = 500;
const GIVE_UP_MS = 40_000;
/** As a client waits that finds nobody: the server may not be back yet. */
const RETRY_MS = 250;
/** How finely the way back is looked at. */
const BIN_MS = 100;

/** One that stays away for as long as it is told. */
class Member {
  client: ChatClient | undefined;
  position: { epoch: string; seq: number } | undefined;
  sentAway = false;

  constructor(
    readonly number: number,
    readonly room: string,
  ) {}
}

/**
 * SIGTERM while thousands are connected, and the same server anew as soon as it has gone. Everybody leaves when asked to and
 * comes back when told, with its position. Times run from the signal; each has to be recovered.
 */
export async function measureDrain(
  one: Case,
  server: ServerProcess,
  tell: Tell,
): Promise<Omit<Measurement, "case" | "peer" | "round">> {
  const { rooms, members: perRoom } = one.groups[0]!;
  const members = Array.from(
    { length: rooms * perRoom },
    (_, number) => new Member(number, `drain-${number % rooms}`),
  );
  const { promise: allIn, resolve: wholeCrowd } = Promise.withResolvers<void>();
  const { promise: allBack, resolve: wholeReturn } =
    Promise.withResolvers<void>();
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  const deadline = setTimeout(
    () => fail(new Error(`not over after ${GIVE_UP_MS / 1000} s`)),
    GIVE_UP_MS,
  );

  let joined = 0;
  let back = 0;
  let retries = 0;
  let unrecovered = 0;
  let began = 0;
  const returns = newHistogram();
  const bins: number[] = [];

  const connect = (member: Member): void => {
    const client = new ChatClient({
      opened: () =>
        client.send({
          action: "join_room",
          room: member.room,
          ...(member.position === undefined ? {} : { since: member.position }),
        }),
      received: (frame) => received(member, client, frame),
      ended: (reason) => {
        if (!member.sentAway)
          return fail(new Error(`a member's connection: ${reason}`));
        retries++;
        setTimeout(connect, RETRY_MS, member);
      },
    });
    member.client = client;
    client.connect(server.port, member.number, `name=m${member.number}`);
  };

  const received = (
    member: Member,
    client: ChatClient,
    bytes: Buffer,
  ): void => {
    if (bytes.includes('"room_joined"')) {
      const { epoch, seq, recovered } = parse(bytes);
      if (!member.sentAway) {
        member.position = { epoch: epoch as string, seq: seq as number };
        connectNext();
        if (++joined === members.length) wholeCrowd();
        return;
      }
      const ms = performance.now() - began;
      recordUs(returns, ms * 1000);
      const bin = Math.trunc(ms / BIN_MS);
      bins[bin] = (bins[bin] ?? 0) + 1;
      if (recovered !== true) unrecovered++;
      if (++back === members.length) wholeReturn();
    } else if (bytes.includes('"action":"reconnect"')) {
      member.sentAway = true;
      client.abort();
      setTimeout(connect, parse(bytes).after_ms as number, member);
    }
  };

  let next = 0;
  const connectNext = (): void => {
    const member = members[next++];
    if (member) connect(member);
  };

  try {
    tell(`${members.length} join`);
    for (let i = 0; i < IN_FLIGHT; i++) connectNext();
    await Promise.race([allIn, failed]);
    tell("the server drains, and is started anew");
    began = performance.now();
    await Promise.race([server.end(), failed]);
    const drained = performance.now() - began;
    await Promise.race([server.launch(), failed]);
    tell("they come back");
    await Promise.race([allBack, failed]);
    const { p50, max } = quantiles(returns);
    return {
      verdict: unrecovered > 0 ? "failed" : "ok",
      reasons: unrecovered > 0 ? [`${unrecovered} were not recovered`] : [],
      figures: {
        drain_us: drained * 1000,
        back_p50_us: p50,
        back_max_us: max,
        back_peak_per_second:
          (Math.max(...bins.filter(Number)) * 1000) / BIN_MS,
        back_retries: retries,
        peak_rss_bytes: sampleProcess(server.pid).peak_rss_bytes,
      },
      histograms: { back: encodeHistogram(returns) },
      load: null,
    };
  } finally {
    clearTimeout(deadline);
    for (const { client } of members) client?.abort();
  }
}

const parse = (bytes: Buffer): Frame => JSON.parse(bytes.toString()) as Frame;
