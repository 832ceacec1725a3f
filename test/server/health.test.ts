import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { Client } from "../support/client.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";
import { range } from "./helpers.ts";
import { refusal } from "./raw-socket.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

/** What a load balancer sees of a server that works, and of one that is sent away. */

const status = async (server: ServerProcess, path: string): Promise<number> =>
  (await fetch(`${server.http}${path}`)).status;

test("a server that works is alive and ready", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path);
  using _bob = await Client.connect(server.url);
  const live = await fetch(`${server.http}/health/live`);
  expect([live.status, await live.json()]).toEqual([200, { status: "ok" }]);
  const ready = await fetch(`${server.http}/health/ready`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toEqual({ status: "ok", connections: 1 });
});

describe("a server that drains", () => {
  test("is alive and not ready for as long as somebody is there, then it is gone", async () => {
    using folder = new TempFolder();
    await using server = await ServerProcess.start(
      folder.path,
      "--drain-grace-ms",
      "30000",
    );
    const clients = await Promise.all(
      range(1, 250).map(() => Client.connect(server.url)),
    );
    const told = clients.map((client) => client.nextAction("reconnect"));
    server.process.kill("SIGTERM");
    const looked = Promise.race(told).then(async () => {
      expect(await status(server, "/health/live")).toBe(200);
      const ready = await fetch(`${server.http}/health/ready`);
      expect(ready.status).toBe(503);
      expect(await ready.json()).toMatchObject({ status: "draining" });
      expect(await refusal(server.port, { path: "/chat" })).toMatchObject({
        status: 503,
        code: "draining",
      });
    });
    const delays = (await Promise.all(told)).map((m) => m.after_ms as number);
    await looked;
    // One stays for now: all the others may go, and the listener is there for it.
    const [last, ...others] = clients as [Client, ...Client[]];
    for (const client of others) client.close();
    for (const client of others) await client.closed;
    expect(await status(server, "/health/ready")).toBe(503);
    expect((await last.request({ action: "ping" })).action).toBe("pong");
    last.close();
    expect(await server.process.exited).toBe(0);
    expect(fetch(`${server.http}/health/live`)).rejects.toThrow();

    // After a second, 1,250 ms are for all to come back, each at a moment of its own: every quarter has its share of them.
    expect(new Set(delays).size).toBeGreaterThan(100);
    const share = (from: number, to: number): number =>
      delays.filter((ms) => ms >= from && ms < to).length;
    expect(share(1000, 1500)).toBeGreaterThan(10);
    expect(share(1500, 2000)).toBeGreaterThan(50);
    expect(share(2000, 3000)).toBeGreaterThan(25);
  });
});

test("a load balancer that names no host is answered, and a host that is none is no failure of the server", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path);
  const port = Number(new URL(server.http).port);
  const ask = (request: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket
        .on("data", (bytes) => {
          socket.destroy();
          resolve(String(bytes));
        })
        .on("error", reject);
      socket.write(request);
    });
  expect(await ask("GET /health HTTP/1.0\r\n\r\n")).toContain(" 200 ");
  for (const host of ["[", "a b", "x/y?", "h:99999"])
    expect(await ask(`GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 (200|400) /,
    );
});
