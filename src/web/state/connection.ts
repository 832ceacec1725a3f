import type { ConnectionState, StateChange } from "../../client/index.ts";

/** The connection as the page tells it. */
export interface ConnectionView {
  readonly state: ConnectionState;
  /** Whether the server has ever answered. */
  readonly wasOpen: boolean;
  readonly reason?: string | undefined;
  /** When it tries again, ms since 1970; undefined while it is trying. */
  readonly retryAt?: number | undefined;
  readonly roundTripMs?: number | undefined;
}

export const INITIAL: ConnectionView = { state: "connecting", wasOpen: false };

export function changed(
  before: ConnectionView,
  change: StateChange,
  now: number,
): ConnectionView {
  const open = change.state === "open";
  return {
    state: change.state,
    wasOpen: before.wasOpen || open,
    reason: change.reason,
    retryAt:
      change.retryInMs === undefined ? undefined : now + change.retryInMs,
    roundTripMs: open ? before.roundTripMs : undefined,
  };
}
