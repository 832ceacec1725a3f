import {
  encodeHistogram,
  newHistogram,
  quantiles,
  recordUs,
} from "../load/histogram.ts";
import { runLoad } from "../load/coordinator.ts";
import { sampleProcess } from "../load/process-stats.ts";
import type { Peer } from "../peers/peer.ts";
import type { ServerProcess } from "../peers/server-process.ts";
import type { Case } from "../run/case.ts";
import { loadPlan, type Tell } from "../run/measure.ts";
import type { Measurement } from "../run/run-file.ts";
import { ChatClient, type Frame } from "./chat-client.ts";

const MISSED = 100;
/** Handshakes in flight: the listener's queue is not endless, and real clients come over real networks. */
const IN_FLIGHT = 1000;
const GIVE_UP_MS = 40_000;
/** Live talk beside the storm, in rooms of its own: 100 messages/s. */
const LIVE = { rooms: 10, members: 2, rate: 10 };
/** Until live talk is being measured. */
const LIVE_LEAD_MS = 2000;

interface Position {
  epoch: string;
  seq: number;
}

interface Member {
  number: number;
  room: string;
  position: Position | null;
}

/**
 * Thousands of members join, are dropped, miss 100 messages and come back at once with their positions. Each one's time
 * runs from the storm's begin to its last missed message; afterwards every reply is checked: exactly the missed
 * messages, once, in order.
 */
export async function measureResume(
  one: Case,
  peer: Peer,
  server: ServerProcess,
  tell: Tell,
): Promise<Omit<Measurement, "case" | "peer" | "round">> {
  const members = membersOf(one);
  tell(`${members.length} join`);
  await connectAll(server.port, members, (member, reply) => {
    const { epoch, seq } = parse(reply) as unknown as Position;
    member.position = { epoch, seq };
  });
  tell(`${MISSED} messages while they are away`);
  const rooms = [...new Set(members.map(({ room }) => room))];
  await sendMissed(server.port, rooms, one.text_bytes);

  const live = runLoad({
    plan: await livePlan(one, peer, server),
    pids: [],
  });
  live.catch(() => {});
  await Bun.sleep(LIVE_LEAD_MS);
  tell(`${members.length} come back`);
  const times = newHistogram();
  const replies: { member: Member; reply: Buffer }[] = [];
  const before = sampleProcess(server.pid);
  const began = performance.now();
  await connectAll(server.port, members, (member, reply) => {
    recordUs(times, (performance.now() - began) * 1000);
    // Read later: the storm must not wait for its checker.
    replies.push({ member, reply: Buffer.from(reply) });
  });
  const seconds = (performance.now() - began) / 1000;
  const after = sampleProcess(server.pid);
  const beside = await live;

  const reasons = checkReplies(replies);
  reasons.push(...beside.failures.map((text) => `live talk: ${text}`));
  const { p50, p99 } = quantiles(times);
  const livePercentiles = beside.groups[0]!.latency;
  return {
    verdict: reasons.length > 0 ? "failed" : "ok",
    reasons,
    figures: {
      resumes_per_second: members.length / seconds,
      resume_p50_us: p50,
      resume_p99_us: p99,
      resume_cpu_us: ((after.cpu_ms - before.cpu_ms) * 1000) / members.length,
      live_p99_us: livePercentiles.p99,
      peak_rss_bytes: after.peak_rss_bytes,
    },
    histograms: {
      resume: encodeHistogram(times),
      live: livePercentiles.encoded,
    },
    load: null,
  };
}

function membersOf(one: Case): Member[] {
  const { rooms, members } = one.groups[0]!;
  return Array.from({ length: rooms * members }, (_, number) => ({
    number,
    room: `resume-${number % rooms}`,
    position: null,
  }));
}

async function livePlan(one: Case, peer: Peer, server: ServerProcess) {
  const plan = await loadPlan(
    { ...one, groups: [{ name: "live", ...LIVE }] },
    peer,
    [server],
  );
  return { ...plan, warmup_seconds: 0.3 };
}

/**
 * Connects and joins all, with their positions where they have one, hands over each `room_joined`, and drops all.
 * @throws Error a connection ended, or the whole takes too long
 */
async function connectAll(
  port: number,
  members: Member[],
  joined: (member: Member, reply: Buffer) => void,
): Promise<void> {
  const clients: ChatClient[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let next = 0;
  let done = 0;
  const begin = (): void => {
    const member = members[next++];
    if (member === undefined) return;
    const { number, room, position } = member;
    const client = new ChatClient({
      opened: () =>
        client.send({
          action: "join_room",
          room,
          ...(position === null ? {} : { since: position }),
        }),
      received: (frame) => {
        if (!frame.includes('"room_joined"')) return;
        joined(member, frame);
        if (++done === members.length) resolve();
        begin();
      },
      ended: (reason) => reject(new Error(`a member's connection: ${reason}`)),
    });
    clients.push(client);
    client.connect(port, number, `name=m${number}`);
  };
  const timer = setTimeout(
    () =>
      reject(
        new Error(
          `${done} of ${members.length} had joined after ${GIVE_UP_MS / 1000} s`,
        ),
      ),
    GIVE_UP_MS,
  );
  for (let i = 0; i < IN_FLIGHT; i++) begin();
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    for (const client of clients) client.abort();
  }
}

/** Sends the messages to be missed, in order, and resolves when all are acknowledged. */
async function sendMissed(
  port: number,
  rooms: string[],
  text_bytes: number,
): Promise<void> {
  // A connection may be in so many rooms only.
  const share = 100;
  for (let at = 0; at < rooms.length; at += share) {
    const part = rooms.slice(at, at + share);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let joins = 0;
    let acks = 0;
    let round = 0;
    const sendRound = (): void => {
      if (round === MISSED) return resolve();
      const text = `missed ${round++} `.padEnd(text_bytes, "x");
      for (const room of part)
        client.send({ action: "send_message", room, text });
    };
    const client: ChatClient = new ChatClient({
      opened: () => {
        for (const room of part) client.send({ action: "join_room", room });
      },
      received: (frame) => {
        if (frame.includes('"action":"error"'))
          reject(new Error(`while they are away: ${frame.toString()}`));
        else if (frame.includes('"message_sent"'))
          ++acks % part.length === 0 && sendRound();
        else if (frame.includes('"room_joined"'))
          ++joins === part.length && sendRound();
      },
      ended: (reason) =>
        reject(new Error(`the sender's connection: ${reason}`)),
    });
    client.connect(port, at, "name=sender");
    await promise.finally(() => client.abort());
  }
}

const parse = (frame: Buffer): Frame => JSON.parse(frame.toString()) as Frame;

/** What is wrong with the replies, in sentences: each must recover exactly the missed messages. */
function checkReplies(replies: { member: Member; reply: Buffer }[]): string[] {
  let unrecovered = 0;
  let wrong = 0;
  for (const { member, reply } of replies) {
    const frame = parse(reply);
    if (frame.recovered !== true || frame.more === true) unrecovered++;
    const messages = frame.messages as { seq: number; text: string }[];
    const whole =
      messages.length === MISSED &&
      messages.every(
        ({ seq, text }, i) =>
          text.startsWith(`missed ${i} `) &&
          seq > (i === 0 ? member.position!.seq : messages[i - 1]!.seq),
      );
    if (!whole) wrong++;
  }
  const reasons: string[] = [];
  if (unrecovered > 0) reasons.push(`${unrecovered} were not resumed`);
  if (wrong > 0)
    reasons.push(`${wrong} replies were not the ${MISSED} missed messages`);
  return reasons;
}
