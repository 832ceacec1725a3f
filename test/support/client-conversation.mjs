/**
 * A conversation by two clients of the installed package, as somebody else's program would hold it, run by Node, Bun or Deno.
 *
 * Usage: node client-conversation.mjs ws://HOST:PORT json|msgpack
 *
 * Prints `done` and ends by itself, with 0, when everything was as it should be.
 */
import assert from "node:assert/strict";
import { RoomcastClient } from "roomcast/client";

const [url, format] = process.argv.slice(2);
const name = `installed-${format}-${crypto.randomUUID()}`;

let WebSocket;
if (!globalThis.WebSocket) {
  assert.throws(() => new RoomcastClient(url), { code: "no_websocket" });
  WebSocket = (await import("ws")).default;
}
const options = { format, WebSocket };
const ann = new RoomcastClient(url, { ...options, name: "Ann" });
const bob = new RoomcastClient(url, { ...options, name: "Bob" });
const [room, bobs] = await Promise.all([ann.join(name), bob.join(name)]);

const heard = [];
const all = new Promise((resolve) => {
  bobs.on("message", ({ from, text }) => {
    heard.push(`${from}: ${text}`);
    if (text === "last") resolve();
  });
});
const acks = await Promise.all(
  ["one", "zwei 🦉", "last"].map((text) => room.send(text, { data: { text } })),
);
assert.deepEqual(
  acks.map((ack) => ack.seq),
  [1, 2, 3],
);
await all;
assert.deepEqual(heard, ["Ann: one", "Ann: zwei 🦉", "Ann: last"]);

// Back in place, in the other format, as the same user.
const { user } = ann;
ann.reconnect({ format: format === "json" ? "msgpack" : "json" });
const { seq } = await room.send("again");
assert.equal(seq, 4);
assert.deepEqual(ann.user, user);
const { messages } = await room.history({ limit: 2 });
assert.deepEqual(
  messages.map(({ text, data }) => [text, data]),
  [
    ["last", { text: "last" }],
    ["again", undefined],
  ],
);
assert.ok((await bob.ping()) > 0);
await ann.close();
// One that never gets anywhere, closed while it tries, must not keep the process either.
const lost = new RoomcastClient("ws://127.0.0.1:9", options);
await new Promise((resolve) => lost.on("state", resolve));
await Promise.all([lost.close(), bob.close()]);
console.log("done");
