import { RunClock } from "./clock.ts";
import { Connector } from "./connector.ts";
import { GroupTraffic, type Moment } from "./group-traffic.ts";
import { encodeHistogram } from "./histogram.ts";
import { Member, type MemberHost } from "./member.ts";
import type { FromGenerator } from "./messages.ts";
import { Metronome } from "./metronome.ts";
import {
  isStalled,
  layOut,
  type LoadPlan,
  processOf,
  targetOf,
} from "./plan.ts";
import { sampleThread } from "./process-stats.ts";
import { Sender } from "./sender.ts";

const PROGRESS_MS = 500;
const MAX_ERROR_SAMPLES = 5;
/** A stalled member that was closed reads the rest of its socket's buffer, a few MB, in this time. */
const WAKE_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

/** The work of one generator process: its share of the connections, sends and counts. */
export class Generator implements MemberHost {
  readonly #plan: LoadPlan;
  readonly #process: number;
  readonly #clock: RunClock;
  readonly #tell: (message: FromGenerator) => void;
  readonly #traffic: GroupTraffic[];
  readonly #moment: Moment = {
    now_us: 0,
    start_us: NEVER,
    measure_us: NEVER,
    end_us: NEVER,
  };
  readonly #connector: Connector;
  readonly #metronome: Metronome;
  readonly #ended: Record<string, number> = {};
  readonly #errors = { count: 0, samples: [] as string[] };
  #stalled_ended = 0;
  #other_frames = 0;
  #next_due = NEVER;
  #usage = { cpu_share: 0, waited_share: 0, process_cpu_share: 0 };

  constructor(
    plan: LoadPlan,
    process: number,
    tell: (message: FromGenerator) => void,
  ) {
    this.#plan = plan;
    this.#process = process;
    this.#tell = tell;
    this.#clock = new RunClock(plan.base_ms);
    this.#connector = new Connector(plan, this.#clock);
    this.#traffic = layOut(plan).map(
      (group) => new GroupTraffic(group, plan, this.#moment),
    );
    for (const traffic of this.#traffic) this.#populate(traffic);
    this.#metronome = new Metronome(() => this.#woken());
    setInterval(() => this.#progress(), PROGRESS_MS);
  }

  get ready(): Promise<void> {
    return this.#metronome.ready;
  }

  /**
   * Connects one of `rounds` equal parts of each group's members. All processes take a round together, so that each
   * one's members are spread over the order of joining.
   */
  async connect(round: number, rounds: number): Promise<void> {
    const members = this.#traffic.flatMap((traffic) => {
      const { length } = traffic.members;
      return traffic.members.slice(
        (length * round) / rounds,
        (length * (round + 1)) / rounds,
      );
    });
    const { failed, reasons } = await this.#connector.connectAll(members);
    for (const member of members) if (member.stalled) member.connection.pause();
    this.#tell({ type: "connected", failed, reasons });
  }

  /** Runs the schedule; resolves when it is over. */
  async start(
    start_us: number,
    measure_us: number,
    end_us: number,
  ): Promise<void> {
    Object.assign(this.#moment, { start_us, measure_us, end_us });
    this.#measureUsage(measure_us, end_us);
    await this.#until(start_us - 2000);
    for (const traffic of this.#traffic) traffic.start();
    this.#woken();
    await this.#until(end_us + 1000);
    // Late or not, everything that was due is sent.
    this.#sendDue(this.#clock.now());
    const counts: [number, number][] = [];
    for (const traffic of this.#traffic)
      for (const sender of traffic.senders.values())
        counts.push([sender.stream, sender.sent]);
    this.#tell({ type: "sent", counts });
  }

  /** Waits for what is on its way, then reports. */
  async drain(sent: number[]): Promise<void> {
    const silence_ms = this.#plan.silence_seconds * 1000;
    const deadline = performance.now() + this.#plan.drain_seconds * 1000;
    let arrived = -1;
    let progress_at = performance.now();
    let cut_off = false;
    for (;;) {
      const now = this.#arrived();
      if (now >= this.#expected(sent)) break;
      if (now !== arrived) progress_at = performance.now();
      else if (performance.now() - progress_at > silence_ms) break;
      arrived = now;
      if (performance.now() > deadline) {
        cut_off = performance.now() - progress_at < silence_ms / 3;
        break;
      }
      await Bun.sleep(20);
    }
    // A moment more, for copies that should not come.
    await Bun.sleep(100);
    await this.#wakeStalled();
    this.#tell({
      type: "report",
      report: {
        process: this.#process,
        groups: this.#traffic.map((traffic) =>
          traffic.report(sent, this.#plan.echo),
        ),
        connect: encodeHistogram(this.#connector.histogram),
        ended: this.#ended,
        stalled_ended: this.#stalled_ended,
        errors: this.#errors,
        other_frames: this.#other_frames,
        cut_off,
        ...this.#usage,
      },
    });
  }

  /** Lets the stalled members read, so that those that the server has closed find out. */
  async #wakeStalled(): Promise<void> {
    const stalled = this.#traffic
      .flatMap((traffic) => traffic.members)
      .filter((member) => member.stalled);
    for (const { connection } of stalled) connection.resume();
    const deadline = performance.now() + WAKE_MS;
    while (this.#stalled_ended < stalled.length && performance.now() < deadline)
      await Bun.sleep(20);
  }

  quit(): void {
    for (const traffic of this.#traffic)
      for (const member of traffic.members) member.connection.abort();
    this.#metronome.stop();
  }

  // What the members call.
  chunk(): void {
    const now = this.#clock.now();
    this.#moment.now_us = now;
    // Under load this is far more frequent than any timer.
    if (now >= this.#next_due) this.#sendDue(now);
  }

  joined(member: Member): void {
    this.#connector.joined(member);
  }

  ended(member: Member, reason: string): void {
    if (this.#connector.ended(member, reason)) return;
    if (member.stalled) this.#stalled_ended++;
    else this.#ended[reason] = (this.#ended[reason] ?? 0) + 1;
  }

  errorFrame(text: string): void {
    this.#errors.count++;
    if (this.#errors.samples.length < MAX_ERROR_SAMPLES)
      this.#errors.samples.push(text);
  }

  otherFrame(): void {
    this.#other_frames++;
  }

  #populate(traffic: GroupTraffic): void {
    const { group } = traffic;
    const { templates, text_bytes } = this.#plan;
    // Members in the outer loop: rooms fill evenly while connecting.
    for (let index = 0; index < group.members; index++)
      for (let room = 0; room < group.rooms; room++) {
        if (processOf(this.#plan, group, room, index) !== this.#process)
          continue;
        const number = group.first_connection + index * group.rooms + room;
        const template = templates[index % templates.length]!;
        const names = {
          room: `${group.room_prefix}${String(room).padStart(5, "0")}`,
          name: `u${String(number).padStart(6, "0")}`,
          index: number,
        };
        const stalled = isStalled(group, index);
        const member = new Member(this, traffic, {
          room,
          target: targetOf(this.#plan, room, index),
          stalled,
          names,
          template,
          text_bytes,
        });
        traffic.add(member);
        if (index >= group.senders) continue;
        const stream = group.first_stream + room * group.senders + index;
        member.sender = new Sender(
          member.connection,
          template,
          names,
          stream,
          text_bytes,
        );
        traffic.senders.set(stream, member.sender);
      }
  }

  #woken(): void {
    const now = this.#clock.now();
    this.#moment.now_us = now;
    this.#sendDue(now);
    if (this.#next_due !== NEVER)
      this.#metronome.wakeAt(this.#plan.base_ms + this.#next_due / 1000);
  }

  #sendDue(now: number): void {
    let next = NEVER;
    for (const traffic of this.#traffic)
      next = Math.min(next, traffic.sendDue(now));
    this.#next_due = next;
  }

  #measureUsage(measure_us: number, end_us: number): void {
    const at = (time_us: number, run: () => void): void => {
      setTimeout(run, Math.max(0, (time_us - this.#clock.now()) / 1000));
    };
    const pid = process.pid;
    at(measure_us, () => {
      const began = performance.now();
      const thread = sampleThread(pid, pid);
      const all = process.cpuUsage();
      at(end_us, () => {
        const wall_ms = performance.now() - began;
        const now = sampleThread(pid, pid);
        const used = process.cpuUsage(all);
        this.#usage = {
          cpu_share: (now.cpu_ms - thread.cpu_ms) / wall_ms,
          waited_share: (now.waited_ms - thread.waited_ms) / wall_ms,
          process_cpu_share: (used.user + used.system) / 1000 / wall_ms,
        };
      });
    });
  }

  async #until(time_us: number): Promise<void> {
    const wait_us = time_us - this.#clock.now();
    // Whole milliseconds: a fraction is cut off, and the wait would end too early.
    await Bun.sleep(Math.max(0, Math.ceil(wait_us / 1000)));
  }

  #arrived(): number {
    return this.#traffic.reduce(
      (sum, traffic) => sum + traffic.delivered + traffic.acked,
      0,
    );
  }

  #expected(sent: number[]): number {
    let sum = 0;
    for (const traffic of this.#traffic) {
      const { deliveries, acks } = traffic.expected(sent, this.#plan.echo);
      sum += deliveries + acks;
    }
    return sum;
  }

  #progress(): void {
    let sent = 0;
    let delivered = 0;
    for (const traffic of this.#traffic) {
      delivered += traffic.delivered;
      for (const sender of traffic.senders.values()) sent += sender.sent;
    }
    this.#tell({
      type: "progress",
      connected: this.#connector.connected,
      sent,
      delivered,
    });
  }
}
