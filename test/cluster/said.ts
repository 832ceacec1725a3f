import { expect } from "bun:test";
import type { Client, Message } from "../support/client.ts";

/** Sends until it is stored: what is refused for now is sent again when it may. */
export async function said(
  client: Client,
  room: string,
  text: string,
): Promise<Message> {
  for (;;) {
    const answer = await client.say(room, text, { id: text });
    if (answer.action === "message_sent") return answer;
    expect(answer.code).toMatch(/^(unavailable|outcome_unknown)$/);
    await Bun.sleep(answer.retry_after_ms);
  }
}
