import type { Logger } from "../logging/logger.ts";

/** What load balancers look at as often, or less. */
const LOOK_MS = 500;

/**
 * Logs when a store that is somewhere else cannot take messages, and when it can again.
 * @returns what ends it
 */
export function logReadiness(
  ready: () => boolean,
  logger: Logger,
  reason: string,
): () => void {
  let was = true;
  const timer = setInterval(() => {
    const is = ready();
    if (is === was) return;
    was = is;
    if (is) logger.info("messages are stored again");
    else logger.error({ reason }, "messages cannot be stored, and are refused");
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
