import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { OPCODE, RawSocket, refusal } from "./raw-socket.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** `/echo`: for trying a client or a proxy. */

let server: InProcessServer;
beforeAll(() => {
  server = new InProcessServer("--max-messages-per-second", "0");
});
afterAll(() => server.stop());

/** Everything an echo connection receives, until it has got `count` frames. */
async function talk(
  to: InProcessServer,
  count: number,
  ...sent: (string | Uint8Array)[]
): Promise<unknown[]> {
  using raw = await RawSocket.connect(to.roomcast.server.port!, {
    path: "/echo",
  });
  for (const frame of sent)
    raw.send(typeof frame === "string" ? OPCODE.text : OPCODE.binary, frame);
  await raw.received(count);
  return raw.frames.map((frame) => frame.payload.toString());
}

test("greets, and answers each text with what was said", async () => {
  expect(await talk(server, 5, "hi", "", "🦉\nümläut", "{}")).toEqual([
    "You are connected!",
    "You said: hi",
    "You said: ",
    "You said: 🦉\nümläut",
    "You said: {}",
  ]);
});

test("answers bytes with an error", async () => {
  expect(await talk(server, 3, new Uint8Array([1, 2]), "hi")).toEqual([
    "You are connected!",
    "! text frames only",
    "You said: hi",
  ]);
});

test("works with a usual client, whatever its subprotocols", async () => {
  for (const protocols of [[], ["anything"]]) {
    const socket = new WebSocket(`${server.url}/echo`, protocols);
    const heard: string[] = [];
    await new Promise<void>((resolve) => {
      socket.onmessage = ({ data }) => {
        heard.push(data);
        if (heard.length === 2) resolve();
      };
      socket.onopen = () => socket.send("hi");
    });
    socket.close();
    expect(heard).toEqual(["You are connected!", "You said: hi"]);
  }
});

test("is nobody's user, and hears nothing of the rooms", async () => {
  await using quiet = new InProcessServer();
  using raw = await RawSocket.connect(quiet.roomcast.server.port!, {
    path: "/echo?room=r&name=Bob",
  });
  using ann = await Client.connect(quiet.url, "json", "room=r");
  expect(ann.welcome.users).toBe(1);
  await ann.nextAction("room_joined");
  await ann.say("r", "hi");
  raw.send(OPCODE.text, "last");
  await raw.received(2);
  expect(raw.frames.map((frame) => frame.payload.toString())).toEqual([
    "You are connected!",
    "You said: last",
  ]);
});

test("refuses what comes too fast", async () => {
  await using slow = new InProcessServer("--max-messages-per-second", "1");
  const heard = await talk(slow, 4, "one", "two", "three");
  expect(heard.slice(0, 3)).toEqual([
    "You are connected!",
    "You said: one",
    "You said: two",
  ]);
  expect(heard[3]).toMatch(/^! .*try again in \d+ ms/);
});

test("ends a connection whose frame is too large", async () => {
  await using small = new InProcessServer("--max-frame-bytes", "256");
  using raw = await RawSocket.connect(small.roomcast.server.port!, {
    path: "/echo",
  });
  raw.send(OPCODE.text, "x".repeat(256));
  await raw.received(2);
  raw.send(OPCODE.text, "x".repeat(257));
  await raw.ended;
  expect(raw.frames).toHaveLength(3);
  expect(raw.closeCode).toBe(1009);
});

test("counts among an address's connections", async () => {
  await using small = new InProcessServer("--max-connections-per-address", "1");
  const port = small.roomcast.server.port!;
  using first = await RawSocket.connect(port, { path: "/echo" });
  expect(await refusal(port, { path: "/echo" })).toMatchObject({
    status: 503,
    code: "too_many_connections",
  });
  expect(await refusal(port, { path: "/chat" })).toMatchObject({ status: 503 });
  await first.received(1);
});

test("ends with 1012 when the server shuts down", async () => {
  await using leaving = new InProcessServer();
  using raw = await RawSocket.connect(leaving.roomcast.server.port!, {
    path: "/echo",
  });
  await raw.received(1);
  await leaving.stop();
  await raw.ended;
  expect(raw.closeCode).toBe(1012);
});
