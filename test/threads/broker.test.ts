import { brokerContract } from "../broker/contract.ts";
import { WiredHub } from "./wired.ts";

brokerContract("a thread's broker", async () => {
  const hub = new WiredHub();
  const thread = hub.connect();
  return {
    broker: thread.broker,
    delivered: thread.delivered,
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]();
    },
  };
});

brokerContract("a thread's broker that is always behind", async () => {
  const hub = new WiredHub([], 200);
  const thread = hub.connect();
  return {
    broker: thread.broker,
    delivered: thread.delivered,
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]();
    },
  };
});
