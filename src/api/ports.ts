import {
  publishForNobody,
  type Broker,
  type Draft,
  type Page,
  type Published,
  type Range,
} from "../broker/broker.ts";
import type { Config } from "../config/options.ts";
import type { Roster } from "../gateway/directory.ts";

/**
 * What the API's handlers stand on, whatever is below: one thread, a hub with gateways in others, or a server of several
 * over NATS. Handlers run in the main thread, where broker and directory are.
 */
export interface ApiPorts {
  readonly config: Config;
  readonly epoch: string;
  readonly roster: Roster;

  /** @throws BrokerError (as a rejection) */
  read(room: string, range: Range): Promise<Page>;
  /** Publishes for nobody's connection. @throws BrokerError (as a rejection) */
  publish(draft: Draft): Promise<Published>;
  /** Whether the room receives more than it can pass on. */
  overloaded(room: string): boolean;
}

/** @param overloaded asked of what fans out */
export function apiPorts<Origin>(
  config: Config,
  broker: Broker<Origin>,
  roster: Roster,
  overloaded: ApiPorts["overloaded"],
): ApiPorts {
  return {
    config,
    epoch: broker.epoch,
    roster,
    read: (room, range) => broker.read(room, range),
    publish: (draft) => publishForNobody(broker, draft),
    overloaded,
  };
}
