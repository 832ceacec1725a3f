import { dayOf } from "./time.ts";

/** What grouping looks at. */
export interface Said {
  readonly user: string;
  readonly from: string;
  readonly ts: number;
}

const GROUP_MS = 5 * 60_000;

/** Whether a message starts a day, seen from the one before it. */
export function startsDay(before: Said | undefined, message: Said): boolean {
  return before === undefined || dayOf(before.ts) !== dayOf(message.ts);
}

/** Whether a message starts a group, with name and picture: another author, another day, or five minutes later. */
export function startsGroup(before: Said | undefined, message: Said): boolean {
  return (
    startsDay(before, message) ||
    before!.user !== message.user ||
    before!.from !== message.from ||
    message.ts - before!.ts > GROUP_MS
  );
}
