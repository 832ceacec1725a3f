import "../../src/threads/worker.ts";

/** The program of a gateway thread, and two messages more: each makes it hang, the one in JavaScript, the other below. */

declare const self: Worker;

const receive = self.onmessage!;

self.onmessage = (event: MessageEvent) => {
  if (event.data === "loop") for (;;);
  // Nothing can end it: it only ends what is forgotten.
  if (event.data === "block") Bun.sleepSync(120_000);
  receive.call(self, event);
};
