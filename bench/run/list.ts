import type { Peer } from "../peers/peer.ts";
import { type Case, type Scenario } from "./case.ts";

/** Deliveries per second that a case's load asks for. */
export const offeredBy = (one: Case): number =>
  one.kind === "load"
    ? one.groups.reduce(
        (sum, { rooms, members, rate, stalled = 0 }) =>
          sum + rooms * rate * (members - stalled),
        0,
      )
    : 0;

/** Scenarios, cases and peers for people. */
export function listText(all: Scenario[], peers: readonly Peer[]): string {
  const lines: string[] = ["scenarios (smallest run they belong to)"];
  for (const { name, about, cases } of all) {
    lines.push(`  ${name}: ${about}`);
    for (const { id, title, tier } of cases)
      lines.push(`    ${id.padEnd(24)}${tier.padEnd(10)}${title}`);
  }
  lines.push("", "peers");
  for (const peer of peers) {
    const missing = peer.missing();
    lines.push(
      `  ${peer.name.padEnd(12)}${missing === null ? peer.version() : `not measured: ${missing}`}`,
      `  ${"".padEnd(12)}${peer.does}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
