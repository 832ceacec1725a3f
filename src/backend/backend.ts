import type { Deliver, MainBroker } from "../broker/broker.ts";
import type { SanctionStore } from "../data/sanctions-file.ts";
import type {
  Directory,
  DirectoryListener,
  Census,
} from "../gateway/directory.ts";
import type { Reach } from "../gateway/orders.ts";

/** What gateways stand on: where events go, who is counted, what sessions are signed with. */
export interface Backend<From> {
  readonly broker: MainBroker<From>;
  readonly directory: Directory;
  /** What the application's back end may ask the directory. */
  readonly roster: Census;
  /** Carries orders out at all servers. @param here does so at this one */
  reach(here: Reach): Reach;
  /** Where bans and mutes are kept; undefined where they cannot be. */
  readonly sanctions: SanctionStore | undefined;
  readonly sessionKey: Uint8Array | string;
  /** Where history is kept, as the greeting tells it. */
  readonly historyIn: string;
  /** Stores what is in flight, and lets go of files and connections. After the last connection of a client. */
  close(): Promise<void>;
}

/** Tells an operator something, in a line. */
export const tell = (message: string): void =>
  console.error(`roomcast: ${message}`);

/** What a backend calls, from its first subscription or entered room on. */
export interface BackendListener<From> extends DirectoryListener {
  readonly deliver: Deliver<From>;
}
