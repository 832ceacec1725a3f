import { expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../support/client.ts";
import { OPCODE, RawSocket } from "../server/raw-socket.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";

/** Peers that begin and do not go on. */

// A handshake that does not end is given up after Bun's ten seconds.
setDefaultTimeout(120_000);

/** As many as this process may open, with room for the rest. */
const HALF_OPEN = Math.min(
  10_000,
  Number(
    Bun.spawnSync(["sh", "-c", "ulimit -Hn"])
      .stdout.toString()
      .trim()
      .replace("unlimited", "1000000"),
  ) - 500,
);

test.concurrent(
  `${HALF_OPEN.toLocaleString("en-US")} half-open handshakes hold nobody up, and are given up`,
  async () => {
    using folder = new TempFolder();
    await using server = await ServerProcess.start(folder.path);
    let open = 0;
    let closed = 0;
    const { promise: allClosed, resolve } = Promise.withResolvers<void>();
    for (let started = 0; started < HALF_OPEN;) {
      const some = Math.min(200, HALF_OPEN - started);
      started += some;
      await Promise.all(
        Array.from({ length: some }, () =>
          Bun.connect({
            hostname: "127.0.0.1",
            port: server.port,
            socket: {
              open(socket) {
                open++;
                socket.write("GET /chat?room=a HTTP/1.1\r\nHost: a\r\nUpgr");
              },
              data() {},
              close() {
                if (++closed === HALF_OPEN) resolve();
              },
            },
          }),
        ),
      );
    }
    expect(open).toBe(HALF_OPEN);
    using ann = await Client.connect(server.url);
    using bob = await Client.connect(server.url);
    await ann.join("a");
    await bob.join("a");
    let over = false;
    void allClosed.then(() => (over = true));
    let said = 0;
    do {
      const text = `${said++}`;
      const heard = bob.next((m) => m.text === text);
      expect(await ann.say("a", text)).toMatchObject({ seq: said });
      await heard;
      await Bun.sleep(20);
    } while (!over);
    expect(said).toBeGreaterThan(10);
    expect(closed).toBe(HALF_OPEN);
  },
);

test.concurrent("a handshake that comes byte by byte is given up", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path);
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: { data() {}, close: () => resolve() },
  });
  socket.write("GET /chat HTTP/1.1\r\nHost: a\r\nX-Slow: ");
  const drip = setInterval(() => socket.write("a"), 500);
  await closed;
  clearInterval(drip);
});

test.concurrent(
  "a frame that comes byte by byte is no sign of life",
  async () => {
    using folder = new TempFolder();
    await using server = await ServerProcess.start(
      folder.path,
      ...["--ping-interval-ms", "300", "--ping-timeout-ms", "300"],
    );
    using slow = await RawSocket.connect(server.port);
    // A masked text frame of 60,000 bytes.
    slow.socket.write(Buffer.from([0x81, 0xfe, 0xea, 0x60, 1, 2, 3, 4]));
    const drip = setInterval(() => slow.socket.write("a"), 50);
    await slow.ended;
    clearInterval(drip);
    // A ping was asked first.
    expect(slow.frames.map(({ opcode }) => opcode)).toContain(OPCODE.ping);
  },
);
