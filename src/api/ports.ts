import {
  BrokerError,
  publishForNobody,
  type Deletion,
  type Draft,
  type MainBroker,
  type Page,
  type Published,
  type Range,
} from "../broker/broker.ts";
import type { Config } from "../config/options.ts";
import type { Census } from "../gateway/directory.ts";
import type { Reach } from "../gateway/orders.ts";
import type { GatewayStats } from "../stats/gateway-stats.ts";
import type { SanctionKeeper } from "../gateway/sanctions.ts";

/**
 * What the API's handlers stand on, whatever is below: one thread, a hub with gateways in others, or a server of several
 * over NATS. Handlers run in the main thread, where broker and directory are.
 */
export interface ApiPorts {
  readonly config: Config;
  readonly epoch: string;
  readonly roster: Census;
  readonly reach: Reach;
  readonly sanctions: SanctionKeeper;

  /** @throws BrokerError (as a rejection) */
  read(room: string, range: Range): Promise<Page>;
  /**
   * Answers where a message's id is known here already. What is not, over NATS, `publish` finds out.
   * @throws BrokerError (as a rejection)
   */
  repeat(draft: Draft): Promise<Published> | undefined;
  /** Publishes for nobody's connection. @throws BrokerError (as a rejection) */
  publish(draft: Draft): Promise<Published>;
  /**
   * Then no gateway shows it any more.
   * @throws BrokerError (as a rejection)
   */
  delete(room: string, target: number): Promise<Deletion>;
  /** Whether the room receives more than it can pass on. */
  overloaded(room: string): boolean;
}

/** @param fanout what takes events to connections: the gateway, or the hub for all of them */
export function apiPorts<Origin>(
  config: Config,
  { broker, roster }: { broker: MainBroker<Origin>; roster: Census },
  fanout: { overloaded(room: string): boolean; readonly stats: GatewayStats },
  reach: Reach,
  sanctions: SanctionKeeper,
): ApiPorts {
  async function counted(publish: Promise<Published>): Promise<Published> {
    const published = await publish;
    if (published.duplicate) fanout.stats.duplicates++;
    else fanout.stats.eventsIn++;
    return published;
  }

  return {
    config,
    epoch: broker.epoch,
    roster,
    reach,
    sanctions,
    read: (room, range) => broker.read(room, range),
    async delete(room, target) {
      const deletion = await broker.delete(room, target);
      if (deletion !== "missing")
        await reach.carryOut({ act: "bury", room, target });
      return deletion;
    },
    repeat(draft) {
      const { promise, resolve, reject } = Promise.withResolvers<Published>();
      const known = broker.repeat(
        draft,
        // Of nobody's connection; it is only handed back.
        undefined as Origin,
        (_draft, _origin, outcome) => {
          if (outcome instanceof BrokerError) reject(outcome);
          else resolve(outcome);
        },
      );
      return known ? counted(promise) : undefined;
    },
    publish: (draft) => counted(publishForNobody(broker, draft)),
    overloaded: (room) => fanout.overloaded(room),
  };
}
