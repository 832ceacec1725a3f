import type { MainBroker } from "../../src/broker/broker.ts";
import { brokerContract, type BrokerUnderTest } from "../broker/contract.ts";
import { WiredHub } from "./wired.ts";

/** A thread's broker; what only the hub's can do is asked of that, as the API does. */
function open(maxBytes?: number): BrokerUnderTest {
  const hub = new WiredHub([], maxBytes);
  const thread = hub.connect();
  const broker: MainBroker<string> = Object.assign(thread.broker, {
    repeat: hub.hub.broker.repeat.bind(hub.hub.broker) as never,
    async delete(room: string, target: number) {
      const deletion = await hub.hub.broker.delete(room, target);
      // The event is on its way.
      await thread.settled();
      return deletion;
    },
  });
  return {
    broker,
    delivered: thread.delivered,
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]();
    },
  };
}

brokerContract("a thread's broker", async () => open());

brokerContract("a thread's broker that is always behind", async () =>
  open(200),
);
