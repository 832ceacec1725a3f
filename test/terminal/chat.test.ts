import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { BackEnd, KEY } from "../support/api.ts";
import { RoomcastClient, type ReceiveMessage } from "../../src/client/index.ts";
import { Client } from "../support/client.ts";
import { SECRET, inSeconds, token } from "../support/tokens.ts";
import {
  InProcessServer,
  ServerProcess,
  TempFolder,
} from "../support/server.ts";

setDefaultTimeout(20_000);

const CHAT = join(import.meta.dir, "../../src/chat.ts");

const server = new InProcessServer();
afterAll(() => server[Symbol.asyncDispose]());

let rooms = 0;
const freshRoom = (): string => `terminal ${++rooms}`;

/** Runs the program with piped input, as a script does. */
async function script(
  input: string | ReadableStream,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, "run", CHAT, ...args], {
    stdin: typeof input === "string" ? Buffer.from(input) : input,
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ROOMCAST_URL: server.http },
  });
  const [code, out, err] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  return { code, out, err };
}

async function textsIn(room: string): Promise<string[]> {
  const client = new RoomcastClient(server.http);
  try {
    const joined = await client.join(room);
    const { messages } = await joined.history({ limit: 500 });
    return (messages as ReceiveMessage[]).map(
      ({ from, text }) => `${from}: ${text}`,
    );
  } finally {
    await client.close();
  }
}

describe("with piped input", () => {
  test("a token opens a server that needs one; without it there is a reason, and no token in it", async () => {
    await using guarded = new InProcessServer(
      ...["--jwt-secret", SECRET, "--auth-timeout-ms", "100"],
    );
    const to = ["--url", guarded.http, "--room", "ops", "--timeout", "5"];
    expect(
      await script("hello", ...to, "--token", await token({ sub: "ci" })),
    ).toEqual({ code: 0, out: "", err: "" });
    using reader = await Client.connect(
      guarded.url,
      "json",
      `token=${await token()}`,
    );
    const { messages } = await reader.join("ops", { history: 5 });
    expect(messages).toMatchObject([{ user: "ci", text: "hello" }]);
    const none = await script("hello", ...to);
    expect(none).toMatchObject({ code: 1, out: "" });
    expect(none.err).toContain("no token in time");
    const bad = await script("hello", ...to, "--token", "s3cr3t-nonsense");
    expect(bad.code).toBe(1);
    expect(bad.err).not.toContain("s3cr3t");
  });

  test.each(["json", "msgpack"])(
    "each line is stored, in order, and it ends by itself (%s)",
    async (format) => {
      const room = freshRoom();
      const lines = Array.from({ length: 120 }, (_, i) => `line ${i}`);
      const flags = ["--room", room, "--name", "ci", "--format", format];
      expect(await script(lines.join("\n"), ...flags)).toEqual({
        code: 0,
        out: "",
        err: "",
      });
      expect(await textsIn(room)).toEqual(lines.map((line) => `ci: ${line}`));
    },
  );

  test("lines are taken as they are: a slash is no command, empty ones are left out", async () => {
    const room = freshRoom();
    const input = "/quit\n\n  \n indented\n";
    const flags = ["--room", room, "--name", "ci"];
    expect((await script(input, ...flags)).code).toBe(0);
    expect(await textsIn(room)).toEqual(["ci: /quit", "ci:  indented"]);
  });

  test("no input is no failure", async () => {
    expect((await script("", "--room", freshRoom())).code).toBe(0);
  });

  test("a line that is refused is named, the others are stored, and the exit code tells", async () => {
    const room = freshRoom();
    const input = `one\n${"x".repeat(5000)}\nthree\n`;
    const { code, err } = await script(input, "--room", room, "--name", "ci");
    expect(code).toBe(1);
    expect(err).toContain("line 2 was not stored: text has 5000 bytes");
    expect(await textsIn(room)).toEqual(["ci: one", "ci: three"]);
  });

  test("a line without an end is refused, and fills no memory", async () => {
    const room = freshRoom();
    const input = `${"x".repeat(3 * 1024 * 1024)}\nafter\n`;
    const { code, err } = await script(input, "--room", room, "--name", "ci");
    expect(code).toBe(1);
    expect(err).toBe("chat: line 1 was not stored: it has 3145728 bytes\n");
    expect(await textsIn(room)).toEqual(["ci: after"]);
  });

  test("a server that takes few messages a second gets no more lines than it takes in time", async () => {
    await using slow = new InProcessServer("--max-messages-per-second", "4");
    const lines = Array.from({ length: 40 }, (_, i) => `${i}`).join("\n");
    const flags = ["--url", slow.http, "--timeout", "4"];
    expect(await script(lines, ...flags)).toEqual({
      code: 0,
      out: "",
      err: "",
    });
  }, 60_000);

  test("without a server it gives up in the time it was given, and says why", async () => {
    const { code, err } = await script(
      "hi\n",
      "--url",
      "http://127.0.0.1:1",
      "--timeout",
      "1",
    );
    expect(code).toBe(1);
    expect(err).toContain("nothing was sent: no connection in 1 s");
  });

  test.each(["json", "msgpack"])(
    "a name that the server refuses is told in its words, at once (%s)",
    async (format) => {
      const flags = ["--name", "Ann\nBob", "--format", format];
      const { code, err } = await script("hi\n", ...flags, "--timeout", "60");
      expect(code).toBe(1);
      expect(err).toBe(
        "chat: nothing was sent: the server refuses: name must not hold control characters\n",
      );
    },
  );

  test("a token that is not valid is told in the server's words, at once", async () => {
    await using closed = new InProcessServer("--jwt-secret", SECRET);
    const flags = ["--url", closed.http, "--token", "nonsense"];
    const { code, err } = await script("hi\n", ...flags, "--timeout", "60");
    expect(code).toBe(1);
    expect(err).toBe(
      "chat: nothing was sent: the server refuses: the token is not valid\n",
    );
  });

  test("a wrong option is told in one line", async () => {
    const { code, err } = await script("hi\n", "--format", "xml");
    expect(code).toBe(2);
    expect(err).toBe(
      'chat: --format "xml": allowed are json and msgpack (--help lists the options)\n',
    );
  });

  test("--help says how to use it", async () => {
    const { code, out } = await script("", "--help");
    expect(code).toBe(0);
    expect(out).toContain("bun run chat");
  });
});

/** The program on a terminal of its own. */
class Terminal implements Disposable {
  #printed = "";
  #wakers: (() => void)[] = [];
  readonly #child: Bun.Subprocess;

  constructor(url: string, ...args: string[]) {
    this.#child = Bun.spawn(
      [process.execPath, "run", CHAT, "--url", url, ...args],
      {
        env: { ...process.env, NO_COLOR: "1", TERM: "xterm" },
        terminal: {
          cols: 100,
          rows: 30,
          data: (_terminal, data) => {
            this.#printed += new TextDecoder().decode(data);
            for (const wake of this.#wakers.splice(0)) wake();
          },
        },
      },
    );
  }

  get exited(): Promise<number> {
    return this.#child.exited;
  }

  /** What it printed and nobody has looked at. */
  get rest(): string {
    return this.#printed;
  }

  type(keys: string): void {
    this.#child.terminal!.write(keys);
  }

  /** Resolves when it has printed this, after what was seen before. */
  async sees(text: string): Promise<void> {
    for (;;) {
      const at = this.#printed.indexOf(text);
      if (at >= 0) {
        this.#printed = this.#printed.slice(at + text.length);
        return;
      }
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

describe("on a terminal", () => {
  test("a line says that a message was deleted", async () => {
    await using api = new InProcessServer("--api-key", KEY);
    const back = await BackEnd.at(api.http);
    using ann = new Terminal(api.http, "--room", "r", "--name", "Ann");
    await ann.sees("nobody else here");
    ann.type("hello\r");
    await ann.sees("[Ann]: hello");
    await back.delete("/rooms/r/messages/1");
    await ann.sees("- a message further up was deleted");
    using bob = new Terminal(api.http, "--room", "r", "--name", "Bob");
    await bob.sees("- a message here was deleted");
    await bob.sees("- a message further up was deleted");
  });

  test("two people talk: history, who is here, another room, and goodbye", async () => {
    const room = freshRoom();
    await script("from before\n", "--room", room, "--name", "ci");
    const flags = (name: string) => ["--room", room, "--name", name];
    using ann = new Terminal(server.http, ...flags("Ann"));
    await ann.sees("[ci]: from before");
    using bob = new Terminal(server.http, ...flags("Bob"));
    await bob.sees("2 people here");
    await ann.sees("Bob came");
    ann.type("hello Bob\r");
    await bob.sees("[Ann]: hello Bob");
    await ann.sees("[Ann]: hello Bob");
    bob.type("//shrug\r");
    await ann.sees("[Bob]: /shrug");
    ann.type("/who\r");
    await ann.sees("2 here: Ann, Bob");
    ann.type("/nonsense\r");
    await ann.sees("! there is no command /nonsense");
    ann.type("/join elsewhere\r");
    await ann.sees("elsewhere: nobody else here");
    await bob.sees("Ann left");
    ann.type("/quit\r");
    expect(await ann.exited).toBe(0);
    expect(ann.rest).not.toContain("!");
    bob.type("\x03");
    expect(await bob.exited).toBe(0);
    // The last prompt is taken away, and nothing is told as a failure.
    expect(bob.rest).toEndWith("\x1b[1G\x1b[2K\x1b[0J");
  });

  test("what is being typed stays whole when lines come in", async () => {
    const room = freshRoom();
    using ann = new Terminal(server.http, "--room", room, "--name", "Ann");
    await ann.sees("nobody else here");
    ann.type("half ");
    await ann.sees("half ");
    await script("between\n", "--room", room, "--name", "ci");
    await ann.sees("[ci]: between");
    // Below the new line, the prompt and what was typed.
    await ann.sees("> half ");
    ann.type("done\r");
    await ann.sees("[Ann]: half done");
  });

  test("a server that is killed and comes back loses nothing that was typed", async () => {
    using folder = new TempFolder();
    const first = await ServerProcess.start(folder.path);
    using ann = new Terminal(first.http, "--name", "Ann");
    await ann.sees("nobody else here");
    ann.type("before\r");
    await ann.sees("[Ann]: before");
    await first.signal("SIGKILL");
    await ann.sees("connection lost; coming back");
    ann.type("meanwhile\r");
    await using _second = await ServerProcess.start(
      folder.path,
      "--port",
      String(first.port),
    );
    await ann.sees("connected again");
    await ann.sees("[Ann]: meanwhile");
  });

  test("/quit right after a line waits until it is stored", async () => {
    const room = freshRoom();
    using ann = new Terminal(server.http, "--room", room, "--name", "Ann");
    await ann.sees("nobody else here");
    ann.type("one\rtwo\r/quit\r");
    expect(await ann.exited).toBe(0);
    expect(ann.rest).not.toContain("rror");
    expect(await textsIn(room)).toEqual(["Ann: one", "Ann: two"]);
  });

  test("a server that comes later is joined when it is there", async () => {
    using folder = new TempFolder();
    const first = await ServerProcess.start(folder.path);
    const { port } = first;
    await first.signal("SIGKILL");
    using ann = new Terminal(`http://127.0.0.1:${port}`, "--name", "Ann");
    await ann.sees("trying again");
    await using _later = await ServerProcess.start(
      folder.path,
      "--port",
      String(port),
    );
    await ann.sees("nobody else here");
  });

  test("a name that the server refuses ends it, in the server's words", async () => {
    using ann = new Terminal(server.http, "--name", "x".repeat(1000));
    await ann.sees("the server refuses: name must be at most");
    expect(await ann.exited).toBe(1);
    expect(ann.rest).not.toContain("trying again");
  });

  test("a token that expires ends it in the end: there will be no other one", async () => {
    // With 5 s for clocks that differ it ends in 2 to 3 s.
    const short = await token({ exp: inSeconds(-2) });
    await using closed = new InProcessServer(
      ...["--jwt-secret", SECRET, "--ping-interval-ms", "800"],
    );
    using terminal = new Terminal(closed.http, "--token", short);
    await terminal.sees("connection lost (the token has expired)");
    await terminal.sees("the server refuses: the token is not valid");
    expect(await terminal.exited).toBe(1);
  });

  test("a server that is full is waited for", async () => {
    await using full = new InProcessServer("--max-connections", "1");
    const first = new RoomcastClient(full.http);
    await first.join("general");
    using ann = new Terminal(full.http, "--name", "Ann");
    await ann.sees("trying again");
    await first.close();
    await ann.sees("nobody else here");
  });

  test("an escape sequence from another does not reach the terminal", async () => {
    const room = freshRoom();
    using ann = new Terminal(server.http, "--room", room, "--name", "Ann");
    await ann.sees("nobody else here");
    await script("\x1b]0;owned\x07\x1b[2Jgone\n", "--room", room);
    await ann.sees("]: ]0;owned[2Jgone");
  });
});
