import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { OPTIONS } from "../src/config/options.ts";
import { Client } from "./support/client.ts";
import { InProcessServer, TempFolder } from "./support/server.ts";
import { freePort } from "./support/free-port.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

/** The README's configurations of proxies, and its unit for systemd, as they are written there. */

const readme = readFileSync(join(import.meta.dir, "../README.md"), "utf8");

function block(language: string): string {
  const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(
    readme,
  );
  return found![1]!;
}

/** Replaces what has to be another here. @throws Error it is not there */
function replaced(text: string, changes: Record<string, string>): string {
  for (const [from, to] of Object.entries(changes)) {
    if (!text.includes(from)) throw new Error(`the README lacks ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** Of a request for a path that is sent as it is: `fetch` would tidy it up. */
function statusOf(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket
      .on("data", (bytes) => {
        socket.destroy();
        resolve(Number(/^HTTP\/1\.1 (\d{3}) /.exec(String(bytes))![1]));
      })
      .on("error", reject);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  });
}

interface Proxy {
  /** @returns the command that runs it in the foreground */
  readonly command: (
    folder: string,
    port: number,
    server: InProcessServer,
  ) => string[];
}

const PROXIES: Record<string, Proxy> = {
  nginx: {
    command(folder, port, { roomcast }) {
      const site = replaced(block("nginx"), {
        "listen 443 ssl;": `listen 127.0.0.1:${port};`,
        "127.0.0.1:8080": `127.0.0.1:${roomcast.server.port}`,
        "/var/log/nginx/chat.log": `${folder}/access.log`,
      }).replace(/^ *ssl_.*$/gm, "");
      const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        (name) => `${name}_temp_path ${folder}/${name};`,
      );
      writeFileSync(
        join(folder, "nginx.conf"),
        [
          `daemon off; pid ${folder}/pid; error_log ${folder}/error.log;`,
          "events {}",
          `http { access_log off; ${temp.join(" ")}`,
          `${site}}`,
        ].join("\n"),
      );
      return ["nginx", "-p", folder, "-c", join(folder, "nginx.conf")];
    },
  },
  caddy: {
    command(folder, port, { roomcast }) {
      const site = replaced(block("caddyfile"), {
        "chat.example.com": `http://127.0.0.1:${port}`,
        "127.0.0.1:8080": `127.0.0.1:${roomcast.server.port}`,
      });
      writeFileSync(join(folder, "Caddyfile"), `{\n  admin off\n}\n${site}`);
      return ["caddy", "run", "--config", join(folder, "Caddyfile")];
    },
  },
};

/** Resolves when a port is listened on. */
async function listening(port: number, child: Bun.Subprocess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error("the proxy ended");
    try {
      await fetch(`http://127.0.0.1:${port}/health`);
      return;
    } catch {
      await Bun.sleep(10);
    }
  }
}

describe.each(Object.entries(PROXIES))("behind %s", (name, proxy) => {
  const there = Bun.which(name) !== null;
  if (!there)
    console.warn(`skipped: the README's ${name}: it is not on the PATH`);

  test.skipIf(!there)(
    "a conversation and the page pass, and metrics do not",
    async () => {
      using folder = new TempFolder();
      mkdirSync(join(folder.path, "logs"));
      await using server = new InProcessServer(
        ...["--trusted-proxies", "127.0.0.1"],
      );
      const port = freePort();
      const child = Bun.spawn(proxy.command(folder.path, port, server), {
        env: { ...process.env, HOME: folder.path, XDG_DATA_HOME: folder.path },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      try {
        await listening(port, child);
        const url = `ws://127.0.0.1:${port}`;
        using bob = await Client.connect(url, "json", "name=Bob&room=r");
        using ann = await Client.connect(url, "msgpack", "name=Ann&room=r");
        using eve = await Client.connect(url, "text", "name=Eve&room=r");
        await bob.nextAction("room_joined");
        await ann.nextAction("room_joined");
        const heard = ann.nextAction("receive_message");
        const read = eve.nextLine("[Bob]: ");
        await bob.say("r", "Hi everyone");
        expect(await heard).toMatchObject({ text: "Hi everyone" });
        expect((await read).line).toBe("[Bob]: Hi everyone");

        const page = await fetch(`http://127.0.0.1:${port}/`);
        expect(page.status).toBe(200);
        expect(await page.text()).toContain("<title>");
        expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(
          404,
        );
        for (const path of ["/x\\..\\metrics", "/x/../metrics", "//metrics"])
          expect(await statusOf(port, path)).toBeOneOf([400, 404]);
        expect((await fetch(`${server.http}/metrics`)).status).toBe(200);
        bob.socket.close(1000);
        expect((await bob.closed).code).toBe(1000);
      } finally {
        child.kill("SIGTERM");
        await child.exited;
      }
      // Caddy has no access log unless it is told.
      if (name === "caddy") return;
      const log = readFileSync(join(folder.path, "access.log"), "utf8");
      expect(log).toContain('"GET /chat HTTP/1.1" 101 ');
      expect(log).not.toContain("Bob");
    },
  );
});

test("nginx gives up later than the server pings", () => {
  for (const name of ["proxy_read_timeout", "proxy_send_timeout"]) {
    const [, seconds] = new RegExp(`${name} (\\d+)s;`).exec(block("nginx"))!;
    const most =
      OPTIONS.pingIntervalMs.fallback + OPTIONS.pingTimeoutMs.fallback;
    expect(Number(seconds) * 1000).toBeGreaterThan(most);
  }
});

describe("the unit for systemd", () => {
  const unit = block("ini");
  const valueOf = (key: string): string =>
    new RegExp(`^${key}=(.*)$`, "m").exec(unit)![1]!;

  test("waits longer for the end than the drain may take", () => {
    const [, drainMs] = /--drain-timeout-ms (\d+)/.exec(valueOf("ExecStart"))!;
    expect(Number(valueOf("TimeoutStopSec")) * 1000).toBeGreaterThan(
      Number(drainMs),
    );
  });

  const analyze = Bun.which("systemd-analyze");
  test.skipIf(!analyze)("is one that systemd understands", () => {
    using folder = new TempFolder();
    const file = join(folder.path, "roomcast.service");
    // Any program that is there: whether it could be run is checked too.
    const [program] = valueOf("ExecStart").split(" ");
    writeFileSync(file, replaced(unit, { [program!]: "/bin/sh" }));
    const { stderr, exitCode } = Bun.spawnSync([analyze!, "verify", file]);
    const complaints = stderr
      .toString()
      .split("\n")
      .filter((line) => line.includes("roomcast.service"));
    expect({ complaints, exitCode }).toEqual({ complaints: [], exitCode: 0 });
  });
});
