const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
});
const full = new Intl.DateTimeFormat(undefined, {
  dateStyle: "full",
  timeStyle: "medium",
});
const weekday = new Intl.DateTimeFormat(undefined, {
  weekday: "long",
  day: "numeric",
  month: "long",
});
const withYear = new Intl.DateTimeFormat(undefined, {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
});

/** Local time of day, such as 09:41. @param ts ms since 1970 */
export const clockTime = (ts: number): string => clock.format(ts);

export const fullTime = (ts: number): string => full.format(ts);

/** Local midnight at the start of its day: equal for two times of one day. */
export function dayOf(ts: number): number {
  return new Date(ts).setHours(0, 0, 0, 0);
}

/** "Today", "Yesterday", or the date. @param now ms since 1970 */
export function dayName(ts: number, now: number): string {
  const day = dayOf(ts);
  if (day === dayOf(now)) return "Today";
  const yesterday = new Date(now);
  yesterday.setDate(yesterday.getDate() - 1);
  if (day === dayOf(yesterday.getTime())) return "Yesterday";
  const sameYear = new Date(ts).getFullYear() === new Date(now).getFullYear();
  return (sameYear ? weekday : withYear).format(ts);
}
