import type { Template } from "./templates.ts";

/** Connections that do the same: `rooms` rooms of `members` connections each. */
export interface GroupPlan {
  name: string;
  rooms: number;
  members: number;
  /** How many members of each room send. */
  senders: number;
  /** Messages per second to each room; 0 for a group that only listens. */
  rate: number;
  /** Connections of each room that stop reading once they have joined; they are not expected to receive. */
  stalled: number;
  /**
   * Members of each room that have a process of their own. It has little to do and reads at once: their latency has no
   * part of the generator's own queue, and shows how large that part is in the others'.
   */
  probes: number;
  /** Room names are this and the room's number; groups with one prefix share rooms only by intent. */
  room_prefix: string;
}

/** Where a server listens. */
export interface PlanTarget {
  /** `{room}`, `{name}` and `{index}` are filled in per connection. */
  url: string;
  /** Its addresses, used in turn, so that one address's 28,000 ports are no limit. */
  addresses: string[];
}

/** All that a run does; plain data, so that it crosses process boundaries. */
export interface LoadPlan {
  /** Of one server, or of several that act as one: a room's members take turns. */
  targets: PlanTarget[];
  /** One per format; a room's members take turns. */
  templates: Template[];
  groups: GroupPlan[];
  /** Bytes of a message's text. */
  text_bytes: number;
  /** Whether a sender receives its own messages. */
  echo: boolean;
  /** Sent before measuring, counted but not timed. */
  warmup_seconds: number;
  seconds: number;
  /** How long to wait, at most, for what is still on its way. */
  drain_seconds: number;
  /** Nothing new for this long after the last send: what is missing then is lost. */
  silence_seconds: number;
  /** Messages in flight per sender; 0 is the open loop. */
  closed_loop: number;
  /** Of each group: groups do not share processes, so that one's reading does not delay the other's. */
  processes: number;
  /** Handshakes in flight per process. */
  connect_concurrency: number;
  connect_timeout_seconds: number;
  /** The run's time zero: ms since 1970. */
  base_ms: number;
}

/** A group with the numbers that all processes derive alike. */
export interface Group extends GroupPlan {
  index: number;
  /** Streams (a sender in a room) have ids in one space: stream = first_stream + room × senders + sender. */
  first_stream: number;
  /** Number of the group's first connection in the whole run. */
  first_connection: number;
  first_process: number;
  /** -1 without probes. */
  probe_process: number;
}

export function layOut(plan: LoadPlan): Group[] {
  const groups: Group[] = [];
  let first_stream = 0;
  let first_connection = 0;
  let first_process = 0;
  for (const [index, group] of plan.groups.entries()) {
    const probe_process =
      group.probes > 0 ? first_process + plan.processes : -1;
    groups.push({
      ...group,
      index,
      first_stream,
      first_connection,
      first_process,
      probe_process,
    });
    first_process += plan.processes + (group.probes > 0 ? 1 : 0);
    first_stream += group.rooms * group.senders;
    first_connection += group.rooms * group.members;
  }
  return groups;
}

export function connectionCount(plan: LoadPlan): number {
  return plan.groups.reduce(
    (sum, group) => sum + group.rooms * group.members,
    0,
  );
}

/** Deliveries that one message of a room causes. */
export function receivers(plan: LoadPlan, group: GroupPlan): number {
  return group.members - group.stalled - (plan.echo ? 0 : 1);
}

/** Messages and deliveries per second that a plan offers. */
export function offered(plan: LoadPlan): {
  messages: number;
  deliveries: number;
} {
  let messages = 0;
  let deliveries = 0;
  for (const group of plan.groups) {
    messages += group.rooms * group.rate;
    deliveries += group.rooms * group.rate * receivers(plan, group);
  }
  return { messages, deliveries };
}

export function processCount(plan: LoadPlan): number {
  return plan.groups.reduce(
    (sum, group) => sum + plan.processes + (group.probes > 0 ? 1 : 0),
    0,
  );
}

/** Which process runs a member; spread so that every process has senders and receivers of every room. */
export function processOf(
  plan: LoadPlan,
  group: Group,
  room: number,
  member: number,
): number {
  return isProbe(group, member)
    ? group.probe_process
    : group.first_process + ((room + member) % plan.processes);
}

/** Which of the plan's targets a member connects to. By room too: those with one member are spread as well. */
export const targetOf = (
  plan: LoadPlan,
  room: number,
  member: number,
): number => (room + member) % plan.targets.length;

/** Probes are spread evenly over the members. */
export function isProbe(group: GroupPlan, member: number): boolean {
  if (group.probes === 0) return false;
  const step = Math.floor(group.members / group.probes);
  return member % step === step - 1 && member < step * group.probes;
}

/** The last members are the stalled ones: the first are the senders. */
export function isStalled(group: GroupPlan, member: number): boolean {
  return member >= group.members - group.stalled;
}

/** Messages that the schedule of a group asks for, warm-up included. */
export function scheduled(plan: LoadPlan, group: GroupPlan): number {
  const seconds = plan.warmup_seconds + plan.seconds;
  // Less a rounding error of the step: k × step < seconds.
  return Math.ceil(group.rooms * group.rate * seconds - 1e-6);
}

/** Throws an Error that names the first impossible value. */
export function checkPlan(plan: LoadPlan): void {
  const fail = (what: string): never => {
    throw new Error(what);
  };
  if (plan.groups.length === 0) fail("a plan needs a group");
  if (plan.targets.length === 0) fail("a plan needs a URL");
  let streams = 0;
  for (const group of plan.groups) {
    const { name } = group;
    if (group.rooms < 1 || group.members < 1)
      fail(`group ${name}: needs at least one room and one member`);
    if (group.senders < 1 || group.senders > group.members - group.stalled)
      fail(
        `group ${name}: senders must be 1 to ${group.members - group.stalled}`,
      );
    if (group.probes > group.members / 2)
      fail(`group ${name}: more than half would be probes`);
    if (group.rate < 0) fail(`group ${name}: rate is negative`);
    if (!plan.echo && group.stalled > 0 && group.members - group.stalled < 2)
      fail(`group ${name}: nobody is left to receive`);
    streams += group.rooms * group.senders;
  }
  if (streams > 1_000_000) fail("more than 1,000,000 senders");
  const perSender = Math.max(
    ...plan.groups.map(
      (g) => (g.rate / g.senders) * (plan.warmup_seconds + plan.seconds),
    ),
  );
  if (perSender > 9e7) fail("more than 90,000,000 messages from one sender");
}
