import type { Message } from "./client.ts";
import { Client } from "./client.ts";

/** Everything a room's history holds, paged from the beginning. */
export async function fullHistory(
  url: string,
  room: string,
): Promise<Message[]> {
  using client = await Client.connect(url);
  const joined = await client.join(room);
  if (joined.action === "error") throw new Error(JSON.stringify(joined));
  const { seq } = joined;
  const events: Message[] = [];
  while ((events.at(-1)?.seq ?? 0) < seq) {
    const page = await client.request({
      action: "get_history",
      room,
      after: events.at(-1)?.seq ?? 0,
    });
    if (page.action === "error") throw new Error(JSON.stringify(page));
    if (page.messages.length === 0) break;
    events.push(...page.messages);
  }
  return events;
}
