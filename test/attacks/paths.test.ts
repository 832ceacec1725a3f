import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { Client } from "../support/client.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";
import { RawSocket } from "../server/raw-socket.ts";

/** What a request may reach: the files of the page, and none of the disk. */

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** Sends a request line as it is: clients would tidy it up. @returns the whole answer */
async function ask(port: number, target: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, bytes) => void (answer += bytes.toString("latin1")),
      close: () => resolve(answer),
    },
  });
  socket.write(
    Buffer.from(
      `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      "latin1",
    ),
  );
  return promise;
}

test("no path leads to a file that is not the page's", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path);
  const key = join(folder.path, "session.key");
  expect(existsSync(key)).toBe(true);
  const up = (step: string, path: string): string =>
    `/${step.repeat(12)}${path}`;
  const targets = [
    ...["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "....//"].map(
      (step) => [up(step, "etc/passwd"), up(step, key.slice(1))],
    ),
    key,
    `/${key}`,
    `//${key}`,
    `/%00${key}`,
    `/x/..${key}`,
    `file://${key}`,
    `http://a/../../..${key}`,
    "/src/server.ts",
    "/package.json",
    "/.git/config",
    "/index.html/../../package.json",
    "/chat/../../package.json",
    "/api/v1/../../../package.json",
    "/\xff\xfe/../etc/passwd",
  ].flat();
  for (const target of targets) {
    const answer = await ask(server.port, target);
    expect(answer, target).toMatch(/^HTTP\/1\.1 (400|404) /);
    expect(answer, target).not.toContain("root:");
    expect(answer, target).not.toContain("roomcast/client");
  }
  // The page itself is there all the while.
  expect(await ask(server.port, "/")).toMatch(/^HTTP\/1\.1 200 /);
});

test("a compressed bomb is not unpacked: nobody is offered compression", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path);
  using bomber = await RawSocket.connect(server.port, {
    headers: {
      "sec-websocket-extensions":
        "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
    },
  });
  expect(bomber.answer.headers.has("sec-websocket-extensions")).toBe(false);
  // 64 MiB of zeros in 64 KiB, with the bit that says so.
  const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024));
  const header = Buffer.from([0xc1, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeBigUInt64BE(BigInt(bomb.length), 2);
  bomber.socket.write(Buffer.concat([header, bomb]));
  await bomber.ended;
  using bob = await Client.connect(server.url);
  await bob.join("a");
  expect(await bob.say("a", "hi")).toMatchObject({ seq: 1 });
});
