import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { startRoomcast } from "../../src/roomcast.ts";
import { KEY as API_KEY } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { ServerProcess, TempFolder, THREADS } from "../support/server.ts";
import { SECRET, token } from "../support/tokens.ts";
import { range, say } from "./helpers.ts";
import { RawSocket } from "./raw-socket.ts";

// The preload's reaches only the first file of a run. It only ends what hangs.
setDefaultTimeout(60_000);

/** What the server logs: who runs it reads every line, and a client writes none. */

/** Whatever some reader of lines takes for the end of one. */
const LINE_END = /\r\n|[\n\v\f\r\u001c-\u001e\u0085\u2028\u2029]/;

/** A reason to close that would be a line of its own, recolour a terminal, or end a string. */
const HOSTILE =
  'x"}\n{"level":"fatal","msg":"forged"}\r\u2028\u2029\u0085\u001b[31mred';
const HOSTILE_NAME = '"},{\\"level\\":\\"fatal\\" 🦉';

interface Line {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Every line, each of them one object and nothing else. */
function linesOf(output: string): Line[] {
  const lines = output.split(LINE_END);
  expect(lines.pop()).toBe("");
  return lines.map((line) => {
    // Parsed twice: matchers take the place of what they match (Bun 1.4.5).
    expect(JSON.parse(line)).toMatchObject({
      level: expect.stringMatching(/^(debug|info|warn|error|fatal)$/),
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      msg: expect.any(String),
    });
    return JSON.parse(line) as Line;
  });
}

/** Starts a server, lets something happen, ends it. @returns all it said on stdout */
async function outputOf(
  flags: readonly string[],
  happens: (server: ServerProcess) => Promise<void>,
): Promise<string> {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(
    folder.path,
    ...["--drain-grace-ms", "0", ...flags],
  );
  await happens(server);
  expect(await server.signal("SIGTERM")).toBe(0);
  return server.greeting + (await server.remainingOutput());
}

async function converse(server: ServerProcess): Promise<void> {
  using bob = await Client.connect(server.url, "json", "name=Bob&room=r");
  using ann = await Client.connect(server.url, "msgpack", "name=Ann&room=r");
  await ann.nextAction("room_joined");
  await say(bob, "r", 20);
  while (ann.events("r").length < 20) await ann.nextAction("receive_message");
  bob.socket.close(3000, "enough");
  await bob.closed;
}

test("start and end are a line each, and a conversation is none", async () => {
  const lines = linesOf(await outputOf([], converse));
  expect(lines.map(({ level, msg }) => [level, msg.split(" ")[0]])).toEqual([
    ["info", "roomcast"],
    ["info", "draining"],
    ["info", "done"],
  ]);
  expect(lines[1]).toMatchObject({ signal: "SIGTERM" });
});

test("at debug a connection is one line, with what is known of it; a message is none", async () => {
  const lines = linesOf(await outputOf(["--log-level", "debug"], converse));
  const ended = lines.filter(({ level }) => level === "debug");
  expect(ended).toHaveLength(2);
  expect(lines).toHaveLength(5);
  const bob = ended.find(({ from }) => from === "Bob")!;
  expect(bob).toEqual({
    level: "debug",
    time: expect.any(String),
    connection: expect.any(String),
    user: expect.stringContaining("guest:"),
    from: "Bob",
    address: "127.0.0.1",
    format: "json",
    seconds: expect.any(Number),
    code: 3000,
    reason: "enough",
    msg: "a connection ended",
  });
});

test.each(["warn", "silent"])(
  "at --log-level %s nothing is said of what is as it should be",
  async (level) => {
    using folder = new TempFolder();
    const said: string[] = [];
    const flags = ["--port", "0", "--host", "127.0.0.1", "--data", folder.path];
    const roomcast = startRoomcast(
      loadConfig(
        parseCommandLine([
          ...flags,
          ...["--drain-grace-ms", "0", "--log-level", level],
          ...["--threads", String(THREADS)],
        ]),
        {},
      ),
      { write: (line) => void said.push(line) },
    );
    using bob = await Client.connect(`ws://127.0.0.1:${roomcast.server.port}`);
    bob.close();
    await bob.closed;
    await roomcast.drain();
    expect(said).toEqual([]);
  },
);

describe("what clients send", () => {
  const attack = async (
    server: Pick<ServerProcess, "url" | "http" | "port">,
  ): Promise<void> => {
    const query = `name=${encodeURIComponent(HOSTILE_NAME)}`;
    using bob = await Client.connect(server.url, "json", query);
    bob.socket.close(3999, HOSTILE);
    await bob.closed;
    // Whatever is refused is no line, or one of ours.
    for (const path of [
      `/chat?name=${encodeURIComponent(HOSTILE)}`,
      `/${encodeURIComponent(HOSTILE)}`,
      `/chat?session=${encodeURIComponent(HOSTILE)}`,
    ])
      await fetch(`${server.http}${path}`, {
        headers: { "user-agent": 'x","level":"fatal' },
      });
    using raw = await RawSocket.connect(server.port, { path: "/chat" });
    raw.socket.resetAndDestroy();
  };

  test("ends no line and begins none, whoever reads them", async () => {
    const output = await outputOf(["--log-level", "debug"], attack);
    const lines = linesOf(output);
    expect(lines.filter(({ level }) => level === "fatal")).toEqual([]);
    expect(output).not.toContain("\u001b");
    const hostile = lines.find(({ code }) => code === 3999)!;
    // All of it is there, as data.
    expect(hostile).toMatchObject({ from: HOSTILE_NAME, reason: HOSTILE });
  });

  test("steers no terminal, where lines are made for people", async () => {
    using folder = new TempFolder();
    let shown = "";
    const { promise: greeted, resolve } = Promise.withResolvers<string>();
    const child = Bun.spawn(
      [
        ...[process.execPath, "run", "src/server.ts", "--data", folder.path],
        ...["--host", "127.0.0.1", "--port", "0", "--log-level", "debug"],
        ...["--drain-grace-ms", "0", "--threads", String(THREADS)],
      ],
      {
        cwd: `${import.meta.dir}/../..`,
        env: { ...process.env, NO_COLOR: "1" },
        terminal: {
          cols: 500,
          data(_terminal, bytes) {
            shown += new TextDecoder().decode(bytes);
            const port = /http:\/\/[^:]+:(\d+)/.exec(shown)?.[1];
            if (port) resolve(port);
          },
        },
      },
    );
    const port = Number(await greeted);
    await attack({
      port,
      url: `ws://127.0.0.1:${port}`,
      http: `http://127.0.0.1:${port}`,
    });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    // A terminal's own line ends.
    const lines = shown.replaceAll("\r\n", "\n").split(LINE_END);
    expect(lines.pop()).toBe("");
    for (const line of lines)
      expect(line).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] (DEBUG|INFO): [a-z]/);
    expect(lines[0]).toContain("INFO: roomcast listens on http://127.0.0.1:");
    const hostile = lines.find((line) => line.includes("3999"))!;
    expect(hostile).toContain("DEBUG: a connection ended");
    expect(hostile).toContain("forged");
    expect(shown).not.toContain("\u001b");
  });
});

describe("no secret is in any line", () => {
  const KEY = "key-of-sessions-0123456789abcdef";
  const TOKEN = "eyJhbGciOiJIUzI1NiJ9.token.signature";

  test("of a server that goes on", async () => {
    let session = "";
    const output = await outputOf(
      ["--log-level", "debug", "--session-key", KEY],
      async (server) => {
        const bob = await Client.connect(server.url, "json", "name=Bob");
        ({ session } = bob.welcome as unknown as { session: string });
        bob.close();
        await bob.closed;
        const query = `session=${session}&token=${TOKEN}`;
        using back = await Client.connect(server.url, "json", query);
        expect(back.user).toEqual(bob.user);
        back.send("{");
        await back.nextAction("error");
        await fetch(`${server.http}/chat?${query}&format=none`, {
          headers: { authorization: `Bearer ${TOKEN}` },
        });
      },
    );
    expect(linesOf(output).filter((m) => m.from === "Bob")).toHaveLength(2);
    expect(session.length).toBeGreaterThan(40);
    for (const secret of [KEY, TOKEN, session, session.slice(-20)])
      expect(output).not.toContain(secret);
  });

  test("of one with keys, tokens and moderators", async () => {
    const good = await token({ rooms: { r: ["join", "moderate"] } });
    const bad = await token({}, Buffer.from("f".repeat(32)));
    const output = await outputOf(
      ["--log-level", "debug", "--jwt-secret", SECRET, "--api-key", API_KEY],
      async (server) => {
        const bob = await Client.connect(server.url, "json", `token=${good}`);
        await bob.request({ action: "authenticate", token: bad });
        bob.close();
        await bob.closed;
        for (const shown of [good, bad, API_KEY]) {
          const headers = { authorization: `Bearer ${shown}` };
          await fetch(`${server.http}/chat?token=${shown}`);
          await fetch(`${server.http}/chat`, { headers });
          await fetch(`${server.http}/api/v1/rooms/r/bans?${shown}`, {
            headers,
          });
        }
      },
    );
    expect(linesOf(output)).toContainEqual(
      expect.objectContaining({ moderator: "bob", path: "/rooms/r/bans" }),
    );
    for (const secret of [good, bad, SECRET, API_KEY]) {
      expect(output).not.toContain(secret);
      expect(output).not.toContain(secret.slice(-20));
    }
  });

  test("of one that cannot reach NATS", async () => {
    const child = Bun.spawn(
      [
        ...[process.execPath, "run", "src/server.ts", "--port", "0"],
        ...["--nats", "nats://bob:pass-word@127.0.0.1:1"],
      ],
      { cwd: `${import.meta.dir}/../..`, stdout: "pipe", stderr: "pipe" },
    );
    const said = (await child.stdout.text()) + (await child.stderr.text());
    expect(await child.exited).toBe(1);
    expect(said).toContain("127.0.0.1:1");
    expect(said).not.toContain("pass-word");
  });
});

test("a server whose log nobody reads any longer goes on", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(
    folder.path,
    ...["--log-level", "debug", "--drain-grace-ms", "0"],
  );
  await server.rest.cancel();
  for (const i of range(1, 5)) {
    using bob = await Client.connect(server.url, "json", "room=r");
    expect(await bob.join("r")).toMatchObject({
      action: "room_joined",
    });
    expect(await bob.say("r", `m${i}`)).toMatchObject({ seq: i });
    bob.close();
    await bob.closed;
  }
  expect(await server.signal("SIGTERM")).toBe(0);
});
