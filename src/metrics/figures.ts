import type { NatsFigures } from "../broker/nats/nats.ts";
import type { CommitStats } from "../stats/commit-stats.ts";
import type { GatewayStats } from "../stats/gateway-stats.ts";
import type { WebhookFigures } from "../webhooks/figures.ts";

/** What `/metrics` tells, gathered when it is asked for, over all threads. */
export interface Figures {
  /** Connections with a user. */
  readonly connections: number;
  readonly users: number;
  /** Rooms in memory. */
  readonly rooms: number;
  readonly gateway: GatewayStats;
  /** Where the server stores events by itself. */
  readonly commits: CommitStats | undefined;
  /** Where NATS does. */
  readonly nats: NatsFigures | undefined;
  /** Where there are webhooks. */
  readonly webhooks: WebhookFigures | undefined;
}
