import type { RoomcastClient } from "../client/index.ts";
import { refusal } from "../client/refusal.ts";
import type { ChatOptions } from "./options.ts";

/**
 * Calls `told` after a failed attempt: with the server's words where it refuses such a client for good; without them where trying
 * again can help, as long as the client has never been let in.
 */
export function onFailedAttempt(
  client: RoomcastClient,
  options: ChatOptions,
  told: (refused: string | undefined, reason: string | undefined) => void,
): void {
  let asking = false;
  client.on("state", async ({ retryInMs, reason }) => {
    if (retryInMs === undefined || asking) return;
    asking = true;
    const refused = await refusal(options.url, options);
    asking = false;
    if (client.state === "open" || client.state === "closed") return;
    if (refused || !client.user) told(refused?.message, reason);
  });
}

/**
 * Resolves when the client is connected for the first time.
 * @throws Error (as a rejection) why there was no connection in that time
 */
export function firstConnection(
  client: RoomcastClient,
  options: ChatOptions,
): Promise<void> {
  if (client.state === "open") return Promise.resolve();
  return new Promise((resolve, reject) => {
    let why = "no answer";
    const finish = (): void => {
      clearTimeout(timer);
      off();
    };
    const timer = setTimeout(() => {
      finish();
      reject(new Error(`no connection in ${options.timeout} s (${why})`));
    }, options.timeout * 1000);
    onFailedAttempt(client, options, (refused) => {
      if (refused === undefined) return;
      finish();
      reject(new Error(`the server refuses: ${refused}`));
    });
    const off = client.on("state", ({ state, reason }) => {
      if (reason) why = reason;
      if (state === "open") {
        finish();
        resolve();
      } else if (state === "closed") {
        finish();
        reject(new Error(why));
      }
    });
  });
}
