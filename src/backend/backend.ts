import type {
  BrokerError,
  Deliver,
  Draft,
  MainBroker,
} from "../broker/broker.ts";
import type { SanctionStore } from "../data/sanctions-file.ts";
import type {
  Directory,
  DirectoryListener,
  Census,
} from "../gateway/directory.ts";
import type { Reach } from "../gateway/orders.ts";
import type { NatsFigures } from "../broker/nats/nats.ts";
import type { SharedSanctions } from "../nodes/shared-sanctions.ts";
import type { CommitStats } from "../stats/commit-stats.ts";
import type { WebhookFigures } from "../webhooks/figures.ts";

/** What gateways stand on: where events go, who is counted, what sessions are signed with. */
export interface Backend<From> {
  readonly broker: MainBroker<From>;
  readonly directory: Directory;
  /** What the application's back end may ask the directory. */
  readonly roster: Census;
  /** Carries orders out at all servers. @param here does so at this one */
  reach(here: Reach): Reach;
  /** Where bans and mutes are kept, or who keeps them for several servers. */
  readonly sanctions: SanctionStore | SharedSanctions;
  readonly sessionKey: Uint8Array | string;
  /** Where history is kept, as the greeting tells it. */
  readonly historyIn: string;
  /** What there is to tell of how events are stored: one of the two. */
  readonly commits: CommitStats | undefined;
  readonly nats: NatsFigures | undefined;
  /** Of the webhooks, where there are some. */
  readonly webhooks: WebhookFigures | undefined;
  /** Stores what is in flight, and lets go of files and connections. After the last connection of a client. */
  close(): Promise<void>;
}

/** What a backend calls, from its first subscription or entered room on. */
export interface BackendListener<From> extends DirectoryListener {
  readonly deliver: Deliver<From>;
  /** Why a message that had to wait may not be sent any more; undefined where it may. */
  readonly hindrance: (draft: Draft) => BrokerError | undefined;
}
