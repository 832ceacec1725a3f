import { chatUrl } from "./address.ts";
import type { ClientFormat } from "./types.ts";

/** How long the server has to tell why. */
const TIMEOUT_MS = 3000;

/**
 * Why a server will never let such a client in. A WebSocket does not tell why it was refused; the same address, asked without an
 * upgrade, does: 400 where the request is wrong, something else where it would be taken. No part of the package: within
 * pages of other origins it would be blocked, and be seen in their consoles.
 *
 * @param url as the client was given it
 * @returns the server's words; undefined where it has nothing against the request, or does not answer
 */
export async function refusal(
  url: string,
  { name, format }: { name?: string | undefined; format: ClientFormat },
): Promise<string | undefined> {
  const address = chatUrl(url);
  address.protocol = address.protocol.replace("ws", "http");
  address.searchParams.set("format", format);
  if (name) address.searchParams.set("name", name);
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await fetch(address, { signal });
    if (answer.status !== 400) return undefined;
    const { message } = (await answer.json()) as { message?: unknown };
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}
