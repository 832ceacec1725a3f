import { chatUrl } from "./address.ts";
import type { ClientFormat } from "./types.ts";

/** How long the server has to tell why. */
const TIMEOUT_MS = 3000;

/** What a server has against a client: the request is wrong (400), its token is not valid (401), or it may not come (403). */
export interface Refused {
  readonly status: number;
  /** The server's words. */
  readonly message: string;
}

const FINAL = [400, 401, 403];

/**
 * Why a server will not let such a client in, whenever it tries. A WebSocket does not tell why it was refused; the same address, asked
 * without an upgrade, does. No part of the package: within pages of other origins it would be blocked, and be seen in their
 * consoles.
 *
 * @param url as the client was given it
 * @returns undefined where the server has nothing against the request that lasts, or does not answer
 */
export async function refusal(
  url: string,
  {
    name,
    token,
    format,
  }: {
    name?: string | undefined;
    token?: string | undefined;
    format: ClientFormat;
  },
): Promise<Refused | undefined> {
  const address = chatUrl(url);
  address.protocol = address.protocol.replace("ws", "http");
  address.searchParams.set("format", format);
  if (name) address.searchParams.set("name", name);
  try {
    const { status, ...answer } = await asked(address, token);
    return FINAL.includes(status) && typeof answer.message === "string"
      ? { status, message: answer.message }
      : undefined;
  } catch {
    return undefined;
  }
}

async function asked(
  address: URL,
  token: string | undefined,
): Promise<{ status: number; message: unknown }> {
  const answer = await fetch(address, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    // Not in the address: logs hold that.
    ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
  });
  const { message } = (await answer.json()) as { message?: unknown };
  return { status: answer.status, message };
}
