import { GatewayThread, type ThreadStart } from "./gateway-thread.ts";
import type { Part } from "./wire.ts";

/** The Worker's program: a gateway thread, and the messages to it. The first one says how to start. */

declare const self: Worker;

let thread: GatewayThread | undefined;

self.onmessage = ({ data }: MessageEvent<ThreadStart | Part[]>) => {
  if (thread) thread.receive(data as Part[]);
  else
    thread = new GatewayThread(data as ThreadStart, (batch) =>
      self.postMessage(batch),
    );
};
