import {
  afterAll,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { readTls } from "../../src/auth/tls.ts";
import {
  ConfigError,
  loadConfig,
  parseCommandLine,
} from "../../src/config/load.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";
import type { Message } from "../support/client.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

/** Encrypted connections, and a certificate that is changed under them. */

const folder = new TempFolder();
const file = (name: string): string => join(folder.path, name);

/** Makes a certificate of its own for this name. */
function certify(name: string): void {
  const { exitCode, stderr } = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"],
    ...["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", `/CN=${name}`],
    ...["-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)],
  ]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}

function use(name: string): void {
  copyFileSync(file(`${name}.crt`), file("live.crt"));
  copyFileSync(file(`${name}.key`), file("live.key"));
}

const FILES = ["--tls-cert", file("live.crt"), "--tls-key", file("live.key")];

const openssl = Bun.which("openssl");
if (!openssl) console.warn("skipped: tests of TLS need openssl on the PATH");

beforeAll(() => {
  if (!openssl) return;
  certify("first");
  certify("second");
});
afterAll(() => folder[Symbol.dispose]());

/** The name in the certificate that a new connection is shown. */
function certificateOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { port, host: "127.0.0.1", rejectUnauthorized: false },
      () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
}

/** A client over TLS that keeps what it receives. */
class SecureClient implements Disposable {
  readonly received: Message[] = [];
  closed: number | undefined;
  readonly #socket: WebSocket;
  #look = (): void => {};

  constructor(port: number, query: string) {
    this.#socket = new WebSocket(`wss://127.0.0.1:${port}/chat?${query}`, {
      tls: { rejectUnauthorized: false },
    } as never);
    this.#socket.onmessage = ({ data }) => {
      this.received.push(JSON.parse(data as string));
      this.#look();
    };
    this.#socket.onclose = ({ code }) => {
      this.closed = code;
    };
  }

  async got(wanted: (m: Message) => boolean): Promise<Message> {
    for (;;) {
      const found = this.received.find(wanted);
      if (found) return found;
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }

  async says(text: string): Promise<void> {
    this.#socket.send(
      JSON.stringify({ action: "send_message", room: "r", text, id: text }),
    );
    await this.got((m) => m.action === "message_sent" && m.id === text);
  }

  hears(text: string): Promise<Message> {
    return this.got((m) => m.action === "receive_message" && m.text === text);
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message));
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}

/** Tells the server to read the certificate again; resolves when it has said what came of it. */
async function reload(server: ServerProcess): Promise<string> {
  server.process.kill("SIGHUP");
  const { value } = await server.rest.read();
  return new TextDecoder().decode(value);
}

describe.skipIf(!openssl).each([1, 2])("with %d threads", (threads) => {
  test("SIGHUP changes the certificate for new connections; those that are there stay, in one room with the new", async () => {
    use("first");
    const data = file(`data-${threads}`);
    mkdirSync(data);
    await using server = await ServerProcess.start(
      data,
      ...FILES,
      ...["--threads", String(threads)],
    );
    const { port } = server;
    expect(server.greeting).toContain("https://");
    expect(await certificateOf(port)).toBe("first");
    using old = new SecureClient(port, "name=Old&room=r");
    using quiet = new SecureClient(port, "name=Quiet");
    await old.got((m) => m.action === "room_joined");
    await quiet.got((m) => m.action === "welcome");
    quiet.send({ action: "join_room", room: "r", echo: false });
    await quiet.got((m) => m.action === "room_joined");

    use("second");
    expect(await reload(server)).toContain("read again");
    // Threads are told over a channel. A connect in the very moment of the change is reset.
    while ((await certificateOf(port).catch(() => "")) !== "second");
    using fresh = new SecureClient(port, "name=Fresh&room=r");
    await fresh.got((m) => m.action === "room_joined");
    await old.says("from the old");
    await fresh.hears("from the old");
    await fresh.says("from the new");
    await old.hears("from the new");
    // Without its echo: everybody else gets it, on either listener.
    await quiet.says("hidden from me");
    await Promise.all([
      old.hears("hidden from me"),
      fresh.hears("hidden from me"),
    ]);
    await fresh.says("last");
    await Promise.all(
      [old, quiet, fresh].map((client) => client.hears("last")),
    );
    expect(quiet.received.some((m) => m.text === "hidden from me")).toBe(false);
    for (const client of [old, fresh]) {
      const texts = client.received
        .filter((m) => m.action === "receive_message")
        .map((m) => m.text);
      expect(texts).toEqual([
        "from the old",
        "from the new",
        "hidden from me",
        "last",
      ]);
      expect(client.closed).toBeUndefined();
    }
    expect(await server.signal("SIGTERM")).toBe(0);
  });
});

test.skipIf(!openssl)(
  "a certificate that cannot be used is told, and changes nothing",
  async () => {
    use("first");
    const data = file("data-bad");
    mkdirSync(data);
    const child = Bun.spawn(
      [
        ...[process.execPath, "run", "src/server.ts", "--host", "127.0.0.1"],
        ...["--port", "0", "--data", data, ...FILES],
      ],
      {
        cwd: join(import.meta.dir, "../.."),
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    try {
      const decoder = new TextDecoder();
      const out = child.stdout.getReader();
      const port = Number(
        /:(\d+) /.exec(decoder.decode((await out.read()).value))![1],
      );
      copyFileSync(file("second.crt"), file("live.crt"));
      child.kill("SIGHUP");
      const said = JSON.parse(decoder.decode((await out.read()).value));
      expect(said).toMatchObject({
        level: "error",
        msg: "SIGHUP: the certificate stays as it was",
      });
      expect(said.reason).toMatch(/does not belong/);
      expect(await certificateOf(port)).toBe("first");
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
  },
);

describe.skipIf(!openssl)("certificate and key", () => {
  const refusal = (...flags: string[]): string => {
    try {
      readTls(loadConfig(parseCommandLine(flags), {}));
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as Error).message;
    }
    throw new Error("it was not refused");
  };

  test("come together, can be read, and belong together", () => {
    writeFileSync(file("junk"), "junk".repeat(50));
    const [first, key] = [file("first.crt"), file("first.key")];
    expect(refusal("--tls-cert", first)).toContain("only one");
    expect(refusal("--tls-key", key)).toContain("only one");
    expect(refusal("--tls-cert", file("none"), "--tls-key", key)).toMatch(
      /^--tls-cert: .*cannot be read/,
    );
    expect(refusal("--tls-cert", file("junk"), "--tls-key", key)).toMatch(
      /^--tls-cert: .*no PEM/,
    );
    const junk = refusal("--tls-cert", first, "--tls-key", file("junk"));
    expect(junk).toMatch(/^--tls-key: .*no PEM/);
    expect(junk).not.toContain("junkjunk");
    expect(
      refusal("--tls-cert", first, "--tls-key", file("second.key")),
    ).toContain("does not belong");
    expect(readTls(loadConfig(parseCommandLine([]), {}))).toBeUndefined();
  });
});
