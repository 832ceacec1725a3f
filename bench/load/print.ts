import type { GroupResult, LoadResult, Measured } from "./result.ts";

/** Microseconds as milliseconds with three significant digits. */
export function ms(value_us: number): string {
  const value = value_us / 1000;
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1)
      : value.toFixed(2);
}

export const thousands = (value: number): string =>
  Math.round(value).toLocaleString("en-US");

const mib = (bytes: number): string => `${(bytes / 1048576).toFixed(1)} MiB`;
const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** A result for people: counts, latency, the server's cost, and what spoils it. */
export function printResult(result: LoadResult): string {
  const lines: string[] = [];
  const { total, server, connect } = result;
  lines.push(
    `${thousands(result.connections)} connections in ${connect.seconds.toFixed(1)} s (join p50 ${ms(connect.p50)} ms, ` +
      `p99 ${ms(connect.p99)} ms)`,
    `deliveries      ${thousands(result.deliveries_per_second)}/s of ${thousands(result.offered_deliveries_per_second)}/s offered; ` +
      `${thousands(total.delivered)} of ${thousands(total.expected)}: ${thousands(total.lost + total.lost_on_ended)} lost, ` +
      `${thousands(total.doubled)} doubled, ${thousands(total.reordered)} reordered`,
  );
  if (total.acks_expected > 0)
    lines.push(
      `acks            ${thousands(total.acks)} of ${thousands(total.acks_expected)}: ${thousands(total.acks_lost)} lost, ` +
        `${thousands(total.acks_doubled)} doubled`,
    );
  lines.push(
    "",
    row("ms, from the intended send time", [
      "p50",
      "p90",
      "p99",
      "p99.9",
      "max",
      "count",
    ]),
  );
  for (const group of result.groups)
    lines.push(...groupRows(group, result.groups.length > 1));
  lines.push("");
  if (server !== null)
    lines.push(
      `server          ${server.cpu_us_per_delivery.toFixed(2)} CPU µs per delivery, ${percent(server.cpu_share)} of a core, ` +
        `${server.threads} threads`,
      `memory          ${mib(server.rss_before_bytes)} before, ${mib(server.rss_connected_bytes)} connected ` +
        `(${thousands(server.bytes_per_connection)} bytes per connection), ${mib(server.rss_end_bytes)} at the end, ` +
        `${mib(server.peak_rss_bytes)} peak`,
    );
  if (result.beneath !== null)
    lines.push(
      `beneath         ${percent(result.beneath.cpu_share)} of a core`,
    );
  for (const { probes, cpu_share, waited_share } of result.generators)
    lines.push(
      `${probes ? "probes" : "generator"}`.padEnd(16) +
        `thread at ${percent(cpu_share)} of a core, waited for one ${percent(waited_share)}`,
    );
  lines.push(`machine         ${percent(result.machine_busy_share)} busy`);
  if (result.stalled_ended > 0)
    lines.push(
      `stalled         ${thousands(result.stalled_ended)} were closed by the server`,
    );
  for (const reason of result.client_bound)
    lines.push(
      `CLIENT-BOUND    do not use the latency, except the probes': ${reason}`,
    );
  for (const failure of result.failures)
    lines.push(`FAILED          ${failure}`);
  return `${lines.join("\n")}\n`;
}

function groupRows(group: GroupResult, named: boolean): string[] {
  const name = named ? `${group.name}: ` : "";
  const rows = [row(`${name}delivery`, values(group.latency))];
  if (group.probe_latency.count > 0)
    rows.push(row(`${name}of it to the probes`, values(group.probe_latency)));
  if (group.across_latency.count > 0)
    rows.push(
      row(`${name}to the sender's own server`, values(group.own_latency)),
      row(`${name}to another server`, values(group.across_latency)),
    );
  if (group.ack_latency.count > 0)
    rows.push(row(`${name}ack`, values(group.ack_latency)));
  if (group.lateness.count > 0)
    rows.push(
      row(`${name}of it the generator's lateness`, values(group.lateness)),
    );
  return rows;
}

function values(of: Measured): string[] {
  return [
    ...[of.p50, of.p90, of.p99, of.p999, of.max].map(ms),
    thousands(of.count),
  ];
}

function row(title: string, cells: string[]): string {
  return title.padEnd(40) + cells.map((cell) => cell.padStart(11)).join("");
}
