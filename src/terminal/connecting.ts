import type { RoomcastClient } from "../client/index.ts";

/**
 * Resolves when the client is connected for the first time.
 * @param timeoutMs Infinity to wait for as long as it takes
 * @throws Error (as a rejection) why there was no connection in that time
 */
export function firstConnection(
  client: RoomcastClient,
  timeoutMs: number,
): Promise<void> {
  if (client.state === "open") return Promise.resolve();
  return new Promise((resolve, reject) => {
    let why = "no answer";
    const finish = (): void => {
      clearTimeout(timer);
      off();
    };
    const timer =
      timeoutMs === Infinity
        ? undefined
        : setTimeout(() => {
            finish();
            reject(
              new Error(`no connection in ${timeoutMs / 1000} s (${why})`),
            );
          }, timeoutMs);
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
