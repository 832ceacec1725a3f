import { expect, test } from "bun:test";
import { GroupTraffic, type Moment } from "../../bench/load/group-traffic.ts";
import { Member, type MemberHost } from "../../bench/load/member.ts";
import { layOut } from "../../bench/load/plan.ts";
import { tokenText } from "../../bench/load/token.ts";
import { smallPlan } from "./small-plan.ts";

const HOST: MemberHost = {
  chunk() {},
  joined() {},
  ended() {},
  errorFrame() {},
  otherFrame() {},
};

/** One room of three members, two of whom send from other processes. */
function room() {
  const plan = smallPlan({ rooms: 1, members: 3, senders: 2, rate: 10 });
  const moment: Moment = { now_us: 0, start_us: 0, measure_us: 0, end_us: 1e6 };
  const traffic = new GroupTraffic(layOut(plan)[0]!, plan, moment);
  const members = Array.from({ length: 3 }, (_, index) => {
    const member = new Member(HOST, traffic, {
      room: 0,
      target: 0,
      stalled: false,
      names: { room: "r00000", name: `u${index}`, index },
      template: plan.templates[0]!,
      text_bytes: plan.text_bytes,
    });
    traffic.add(member);
    return member;
  });
  const receive = (stream: number, number: number): void => {
    const frame = Buffer.from(`{"text":"${tokenText(stream, number, 0)}"}`);
    for (const member of members) member.message(frame, 0, frame.length);
  };
  return { traffic, receive };
}

test("counts what another process sends before this one starts", () => {
  const { traffic, receive } = room();
  receive(0, 0);
  receive(1, 0);
  receive(0, 1);
  traffic.start();
  receive(1, 1);
  expect(traffic.delivered).toBe(12);
  // The connections were never opened: what they lack counts as lost on ended ones.
  expect(traffic.report([2, 2], true)).toMatchObject({
    expected: 12,
    delivered: 12,
    lost: 0,
    lost_on_ended: 0,
    doubled: 0,
    reordered: 0,
    misdelivered: 0,
  });
});

test("what is doubled or lost across the start is still seen", () => {
  const { traffic, receive } = room();
  receive(0, 0);
  receive(1, 1);
  traffic.start();
  receive(0, 0);
  expect(traffic.report([1, 2], true)).toMatchObject({
    delivered: 6,
    lost_on_ended: 3,
    doubled: 3,
  });
});
