/**
 * A conversation by two clients of Node's `ws` package, as somebody else's program would hold it: run by `node`, knowing
 * nothing but the wire contract.
 *
 * Usage: node node-conversation.mjs ws://HOST:PORT json|msgpack
 *
 * Exits with 0 after the line `done`; with 1, and what was wrong, where anything is not as the contract says.
 */
import assert from "node:assert/strict";
import { decode, encode } from "@msgpack/msgpack";
import WebSocket from "ws";

assert.equal(process.versions.bun, undefined, "this is to be run by Node");

const [url, format] = process.argv.slice(2);
assert.ok(format === "json" || format === "msgpack", `no format: ${format}`);

class Peer {
  messages = [];
  #wanted = [];

  /** Opens a connection, and checks what was negotiated. */
  static async connect(query) {
    const peer = new Peer();
    const subprotocol = `roomcast.v1.${format}`;
    peer.socket = new WebSocket(`${url}/chat?${query}`, [subprotocol]);
    peer.closed = new Promise((resolve) => {
      peer.socket.on("close", (code) => resolve(code));
    });
    peer.socket.on("message", (frame, isBinary) => {
      assert.equal(isBinary, format === "msgpack");
      peer.#receive(isBinary ? decode(frame) : JSON.parse(frame.toString()));
    });
    await new Promise((resolve, reject) => {
      peer.socket.on("open", resolve);
      peer.socket.on("error", reject);
    });
    assert.equal(peer.socket.protocol, subprotocol);
    peer.welcome = await peer.next((m) => m.action === "welcome");
    return peer;
  }

  send(message) {
    this.socket.send(
      format === "msgpack" ? encode(message) : JSON.stringify(message),
    );
  }

  async request(message) {
    const ref = ++lastRef;
    this.send({ ...message, ref });
    return await this.next((m) => m.ref === ref);
  }

  /** The first message received so far, or else to come, that is wanted; it is taken away. */
  next(wanted) {
    const at = this.messages.findIndex(wanted);
    if (at >= 0) return Promise.resolve(this.messages.splice(at, 1)[0]);
    return new Promise((resolve) => this.#wanted.push({ wanted, resolve }));
  }

  event(text) {
    return this.next((m) => m.action === "receive_message" && m.text === text);
  }

  async close() {
    this.socket.close(1000);
    assert.equal(await this.closed, 1000);
  }

  #receive(message) {
    const at = this.#wanted.findIndex(({ wanted }) => wanted(message));
    if (at < 0) this.messages.push(message);
    else this.#wanted.splice(at, 1)[0].resolve(message);
  }
}

let lastRef = 0;
const room = `node-${format}`;

const bob = await Peer.connect("name=Bob");
assert.equal(bob.welcome.version, 1);
assert.equal(bob.welcome.user.name, "Bob");
const ann = await Peer.connect(`name=Ann&room=${room}`);
assert.equal((await ann.next((m) => m.action === "room_joined")).seq, 0);

const joined = await bob.request({ action: "join_room", room });
assert.deepEqual(
  { ...joined, ref: 0, epoch: "" },
  {
    action: "room_joined",
    ref: 0,
    room,
    epoch: "",
    seq: 0,
    recovered: false,
    messages: [],
    more: false,
    count: 2,
  },
);
assert.ok(joined.epoch.length > 0);

const data = { mood: "good", list: [1, -2.5, true, null], "🦉": {} };
const text = "Hi everyone, grüße 🦉\n\u0000";
const heard = ann.event(text);
const ack = await bob.request({
  action: "send_message",
  room,
  text,
  id: "first",
  data,
});
assert.deepEqual(
  { ...ack, ref: 0, ts: 0 },
  {
    action: "message_sent",
    ref: 0,
    room,
    id: "first",
    seq: 1,
    epoch: joined.epoch,
    ts: 0,
  },
);
const event = await heard;
assert.deepEqual(event, {
  action: "receive_message",
  room,
  seq: 1,
  from: "Bob",
  user: bob.welcome.user.id,
  text,
  ts: ack.ts,
  id: "first",
  data,
});
assert.ok(Math.abs(Date.now() - event.ts) < 60_000);
assert.deepEqual(await bob.event(text), event);

const repeat = await bob.request({
  action: "send_message",
  room,
  text: "again",
  id: "first",
});
assert.deepEqual(repeat, { ...ack, ref: repeat.ref, duplicate: true });

const typing = ann.next((m) => m.action === "typing");
bob.send({ action: "typing", room, active: true });
assert.deepEqual(await typing, {
  action: "typing",
  room,
  user: bob.welcome.user.id,
  from: "Bob",
  active: true,
});

const { members } = await ann.request({ action: "get_members", room });
assert.deepEqual(members.map((user) => user.name).sort(), ["Ann", "Bob"]);
assert.deepEqual(await ann.request({ action: "ping" }), {
  action: "pong",
  ref: lastRef,
});
const error = await ann.request({ action: "dance" });
assert.equal(error.code, "unknown_action");

await bob.close();
for (let i = 0; i < 300; i++)
  ann.send({ action: "send_message", room, text: `missed ${i}` });
await ann.event("missed 299");

const back = await Peer.connect(`session=${bob.welcome.session}`);
assert.deepEqual(back.welcome.user, bob.welcome.user);
const resumed = await back.request({
  action: "join_room",
  room,
  since: { epoch: joined.epoch, seq: 1 },
});
assert.equal(resumed.recovered, true);
assert.equal(resumed.more, false);
assert.deepEqual(
  resumed.messages.map((m) => [m.seq, m.text]),
  Array.from({ length: 300 }, (_, i) => [i + 2, `missed ${i}`]),
);
const live = back.event("live");
await ann.request({ action: "send_message", room, text: "live" });
assert.equal((await live).seq, 302);

const history = await back.request({
  action: "get_history",
  room,
  before: 4,
  limit: 2,
});
assert.deepEqual(
  history.messages.map((m) => m.seq),
  [2, 3],
);
assert.equal(history.more, true);
const left = await back.request({ action: "leave_room", room });
assert.equal(left.action, "room_left");

await back.close();
await ann.close();
console.log("done");
