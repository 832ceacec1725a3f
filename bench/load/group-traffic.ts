import { encodeHistogram, newHistogram, recordUs } from "./histogram.ts";
import type { Member } from "./member.ts";
import type { GroupReport } from "./messages.ts";
import { type Group, type LoadPlan, targetOf } from "./plan.ts";
import { Schedule } from "./schedule.ts";
import type { Sender } from "./sender.ts";
import { SequenceTally } from "./sequence-tally.ts";

/** When things are meant to happen, in µs since the run's base, and what time it is in the chunk being read. */
export interface Moment {
  now_us: number;
  start_us: number;
  measure_us: number;
  end_us: number;
}

/** All that one process sends and receives for one group. */
export class GroupTraffic {
  delivered = 0;
  acked = 0;
  readonly members: Member[] = [];
  readonly senders = new Map<number, Sender>();
  schedule: Schedule | null = null;
  readonly group: Group;
  readonly #moment: Moment;
  readonly #closed_loop: number;
  readonly #deliveries = new SequenceTally(0);
  readonly #acks: SequenceTally;
  #in_window = 0;
  #misdelivered = 0;
  #acks_doubled = 0;
  /** Closed loop: deliveries left, in this process, until the stream's oldest message in flight is done. */
  #local_receivers: Int32Array;
  #stream_delivered: Int32Array;
  /** Of each stream's sender: the server that it is connected to. */
  readonly #targets: Uint8Array;
  readonly #latency = newHistogram();
  readonly #across_latency = newHistogram();
  readonly #ack_latency = newHistogram();
  readonly #lateness = newHistogram();

  constructor(group: Group, plan: LoadPlan, moment: Moment) {
    this.group = group;
    this.#moment = moment;
    this.#closed_loop = plan.closed_loop;
    this.#acks = new SequenceTally(group.rooms * group.senders);
    this.#local_receivers = new Int32Array(group.rooms);
    this.#stream_delivered = new Int32Array(group.rooms * group.senders);
    this.#targets = Uint8Array.from(
      { length: group.rooms * group.senders },
      (_, stream) =>
        targetOf(
          plan,
          Math.floor(stream / group.senders),
          stream % group.senders,
        ),
    );
  }

  /** From here on the member may receive: other processes start when they wake, perhaps before this one does. */
  add(member: Member): void {
    member.slot = this.#deliveries.addSlots(this.group.senders);
    this.members.push(member);
    if (!member.stalled) this.#local_receivers[member.room]!++;
  }

  /** Begins to send; to be called once all members are added. */
  start(): void {
    const { start_us, end_us } = this.#moment;
    if (this.#closed_loop === 0)
      this.schedule = new Schedule(
        this.group,
        [...this.senders.keys()],
        start_us,
        end_us,
      );
    else
      for (const sender of this.senders.values())
        for (let i = 0; i < this.#closed_loop; i++) this.#sendNow(sender);
  }

  /** Sends all that is due by now; gives the next due time. */
  sendDue(now_us: number): number {
    const schedule = this.schedule;
    if (schedule === null) return Number.POSITIVE_INFINITY;
    let due = schedule.due;
    while (due <= now_us) {
      const sent = this.senders.get(schedule.take().stream)!.send(due);
      if (sent && due >= this.#moment.measure_us)
        recordUs(this.#lateness, now_us - due);
      due = schedule.due;
    }
    return due;
  }

  /** The hot path: one delivery to one member. */
  deliver(
    member: Member,
    stream: number,
    number: number,
    intended_us: number,
  ): void {
    const { group } = this;
    const local = stream - group.first_stream - member.room * group.senders;
    if (local < 0 || local >= group.senders) {
      this.#misdelivered++;
      return;
    }
    if (!this.#deliveries.take(member.slot + local, number)) return;
    this.delivered++;
    const moment = this.#moment;
    if (moment.now_us >= moment.measure_us && moment.now_us < moment.end_us)
      this.#in_window++;
    if (intended_us >= moment.measure_us) {
      const own = this.#targets[stream - group.first_stream] === member.target;
      recordUs(
        own ? this.#latency : this.#across_latency,
        moment.now_us - intended_us,
      );
    }
    if (this.#closed_loop > 0)
      this.#completeOne(stream - group.first_stream, member.room);
  }

  ack(sender: Sender | null, stream: number, number: number): void {
    if (sender === null || sender.stream !== stream) {
      this.#misdelivered++;
      return;
    }
    if (!this.#acks.take(stream - this.group.first_stream, number)) {
      this.#acks_doubled++;
      return;
    }
    this.acked++;
    const intended_us = sender.awaiting.get(number);
    sender.awaiting.delete(number);
    if (intended_us !== undefined && intended_us >= this.#moment.measure_us)
      recordUs(this.#ack_latency, this.#moment.now_us - intended_us);
  }

  /** Deliveries and acks that should have come in the end. `sent`: messages by stream id, of the whole run. */
  expected(
    sent: number[],
    echo: boolean,
  ): { deliveries: number; acks: number } {
    let deliveries = 0;
    let acks = 0;
    for (const member of this.members) {
      if (member.acks && member.sender !== null) acks += member.sender.sent;
      if (member.stalled || !member.connection.open) continue;
      this.#eachStream(member, echo, (stream) => (deliveries += sent[stream]!));
    }
    return { deliveries, acks };
  }

  report(sent: number[], echo: boolean): GroupReport {
    const report: GroupReport = {
      sent: 0,
      unsent: 0,
      expected: 0,
      delivered: this.delivered,
      delivered_in_window: this.#in_window,
      lost: this.#deliveries.lostElsewhere,
      lost_on_ended: 0,
      doubled: this.#deliveries.doubled,
      reordered: this.#deliveries.reordered,
      misdelivered: this.#misdelivered,
      acks_expected: 0,
      acks: this.acked,
      acks_lost: 0,
      acks_doubled: this.#acks_doubled,
      latency: encodeHistogram(this.#latency),
      across_latency: encodeHistogram(this.#across_latency),
      ack_latency: encodeHistogram(this.#ack_latency),
      lateness: encodeHistogram(this.#lateness),
    };
    for (const member of this.members) {
      const { sender } = member;
      if (sender !== null) {
        report.sent += sender.sent;
        report.unsent += sender.unsent;
        if (member.acks) {
          report.acks_expected += sender.sent;
          report.acks_lost += this.#acks.lost(
            sender.stream - this.group.first_stream,
            sender.sent,
          );
        }
      }
      if (member.stalled) continue;
      this.#eachStream(member, echo, (stream, slot) => {
        const total = sent[stream]!;
        const lost = this.#deliveries.lost(slot, total);
        report.expected += total;
        if (member.connection.open) report.lost += lost;
        else report.lost_on_ended += lost;
      });
    }
    return report;
  }

  /** The streams a member should receive, with its place for each in the tally. */
  #eachStream(
    member: Member,
    echo: boolean,
    visit: (stream: number, slot: number) => void,
  ): void {
    const { senders, first_stream } = this.group;
    for (let i = 0; i < senders; i++) {
      const stream = first_stream + member.room * senders + i;
      if (echo || member.sender?.stream !== stream)
        visit(stream, member.slot + i);
    }
  }

  #completeOne(local: number, room: number): void {
    const count = ++this.#stream_delivered[local]!;
    if (count % this.#local_receivers[room]! !== 0) return;
    const sender = this.senders.get(local + this.group.first_stream);
    if (sender !== undefined && this.#moment.now_us < this.#moment.end_us)
      this.#sendNow(sender);
  }

  #sendNow(sender: Sender): void {
    sender.send(Math.max(this.#moment.now_us, this.#moment.start_us));
  }
}
