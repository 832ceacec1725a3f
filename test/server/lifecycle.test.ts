import { Database } from "bun:sqlite";
import { describe, expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { OPTION_KEYS, flagOf } from "../../src/config/options.ts";
import { BackEnd, KEY } from "../support/api.ts";
import { Client, type Message } from "../support/client.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";
import { event, range, received, say, seqs, texts } from "./helpers.ts";
import { refusal } from "./raw-socket.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** The server as a process: how it starts, stops, dies, and what is there when it comes back. */

const ROOT = join(import.meta.dir, "../..");

interface Ended {
  readonly code: number;
  readonly said: string;
  readonly complaint: string;
}

/** Runs a program of this project that ends by itself. */
async function run(
  script: "server" | "backup",
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const child = Bun.spawn(
    [process.execPath, "run", `src/${script}.ts`, ...args],
    {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // A server that starts although it should not.
      timeout: 20_000,
      killSignal: "SIGKILL",
    },
  );
  const [said, complaint, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { code, said, complaint };
}

/** Starts that are to fail: one line, and nothing else. @returns the line */
async function complaintOf(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { code, said, complaint } = await run("server", args, env);
  expect({ code, said }).toEqual({ code: 1, said: "" });
  expect(complaint).toMatch(/^roomcast: [^\n]+\n$/);
  return complaint.slice("roomcast: ".length, -1);
}

/** Changes a database of a data folder that no server uses. */
function edit(folder: string, file: string, ...sql: string[]): void {
  const db = new Database(join(folder, file), { readwrite: true });
  for (const statement of sql) db.run(statement);
  db.close();
}

function count(folder: string, file: string, table: string): number {
  const db = new Database(join(folder, file), { readwrite: true });
  const { n } = db.query(`SELECT count(*) AS n FROM ${table}`).get() as {
    n: number;
  };
  db.close();
  return n;
}

/** All events of a room, page by page. */
async function wholeHistory(client: Client, room: string): Promise<Message[]> {
  const all: Message[] = [];
  for (;;) {
    const page = await client.request({
      action: "get_history",
      room,
      after: all.at(-1)?.seq ?? 0,
    });
    all.push(...page.messages);
    if (!page.more) return all;
  }
}

/** A server on a folder; it leaves its clients no time to go on their own, unless a flag says otherwise. */
const start = (data: string, ...flags: string[]): Promise<ServerProcess> =>
  ServerProcess.start(data, "--drain-grace-ms", "0", ...flags);

const FAST = ["--max-messages-per-second", "0"];

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  test("asks clients to come back, refuses new ones, goes on for those who stay, and exits 0 once they left", async () => {
    using folder = new TempFolder();
    await using server = await start(folder.path, "--drain-grace-ms", "30000");
    using bob = await Client.connect(server.url, "json", "room=r");
    using ann = await Client.connect(server.url, "msgpack", "room=r");
    await bob.nextAction("room_joined");
    await ann.nextAction("room_joined");
    const told = [bob, ann].map((client) => client.nextAction("reconnect"));
    server.process.kill(signal);
    for (const reconnect of await Promise.all(told)) {
      expect(reconnect).toEqual({
        action: "reconnect",
        after_ms: expect.any(Number),
      });
      expect(reconnect.after_ms).toBeInteger();
      expect(reconnect.after_ms).toBeWithin(0, 30_001);
    }
    for (const path of ["/chat", "/chat?format=text", "/echo"])
      expect(await refusal(server.port, { path })).toEqual({
        status: 503,
        code: "draining",
        message: expect.any(String),
      });
    expect((await fetch(`${server.http}/health`)).status).toBe(503);
    const heard = event(ann, "r", "before I go");
    expect(await bob.say("r", "before I go")).toMatchObject({ seq: 1 });
    await heard;
    bob.close();
    ann.close();
    expect(await server.process.exited).toBe(0);
    expect(await server.remainingOutput()).toContain(signal);
  });

  test("closes those who stay with 1012, in every format, and exits 0", async () => {
    using folder = new TempFolder();
    await using server = await start(folder.path);
    const clients = [
      await Client.connect(server.url, "json", "room=r"),
      await Client.connect(server.url, "msgpack"),
      await Client.connect(server.url, "text"),
    ];
    const code = server.signal(signal);
    for (const client of clients) expect((await client.closed).code).toBe(1012);
    expect(await code).toBe(0);
  });
});

test("draining finishes the acks in flight, and what is acknowledged is there after the restart", async () => {
  using folder = new TempFolder();
  // After a burst the next commit waits a second: what is sent then is in flight.
  await using server = await start(
    folder.path,
    ...FAST,
    "--commit-pace-ms",
    "1000",
  );
  using bob = await Client.connect(server.url);
  const { epoch } = await bob.join("r");
  await say(bob, "r", 300, "burst");
  const late = range(0, 9).map((i) =>
    bob.say("r", `late${i}`, { id: `late${i}` }),
  );
  const acks = Promise.all(late);
  await bob.request({ action: "ping" });
  const code = server.signal("SIGTERM");
  expect(seqs(await acks)).toEqual(range(301, 310));
  expect((await bob.closed).code).toBe(1012);
  expect(await code).toBe(0);

  await using next = await start(folder.path);
  using back = await Client.connect(
    next.url,
    "msgpack",
    `session=${bob.welcome.session}`,
  );
  const joined = await back.join("r", { since: { epoch, seq: 300 } });
  expect(joined).toMatchObject({ epoch, seq: 310, recovered: true });
  expect(texts(joined.messages)).toEqual(range(0, 9).map((i) => `late${i}`));
  expect(await back.say("r", "again", { id: "late9" })).toMatchObject({
    seq: 310,
    duplicate: true,
  });
});

test("a second signal ends it at once, with 1", async () => {
  using folder = new TempFolder();
  await using server = await start(folder.path, "--drain-grace-ms", "30000");
  using bob = await Client.connect(server.url);
  const told = bob.nextAction("reconnect");
  server.process.kill("SIGTERM");
  await told;
  expect(await server.signal("SIGTERM")).toBe(1);
});

describe.concurrent("a start that cannot succeed", () => {
  test("because another server has the folder says so, and leaves that one alone", async () => {
    using folder = new TempFolder();
    await using server = await start(folder.path);
    using bob = await Client.connect(server.url, "json", "room=r");
    await bob.nextAction("room_joined");
    const line = await complaintOf(["--port", "0", "--data", folder.path]);
    expect(line).toContain(folder.path);
    expect(line).toContain("in use");
    expect(await bob.say("r", "still here")).toMatchObject({ seq: 1 });
  });

  test("because the port is taken names it, and lets go of the folder", async () => {
    using folder = new TempFolder();
    using other = new TempFolder();
    await using server = await start(folder.path);
    const line = await complaintOf([
      "--host",
      "127.0.0.1",
      "--port",
      String(server.port),
      "--data",
      other.path,
    ]);
    expect(line).toContain(String(server.port));
    expect(line).toContain("in use");
    await using next = await start(other.path);
    using bob = await Client.connect(next.url);
    await bob.join("r");
  });

  test("because the folder is a file says so", async () => {
    using folder = new TempFolder();
    const file = join(folder.path, "file");
    await Bun.write(file, "x");
    expect(await complaintOf(["--port", "0", "--data", file])).toContain(file);
  });

  test.each<[string[], string[]]>([
    [
      ["--port", "http"],
      ["--port", '"http"', "65535"],
    ],
    [["--port=65536"], ["--port", '"65536"', "65535"]],
    [["--port"], ["--port", "needs a value"]],
    [
      ["--history", "postgres"],
      ["--history", '"postgres"', "sqlite or memory"],
    ],
    [
      ["--durability", "maybe"],
      ["--durability", "normal or full"],
    ],
    [
      ["--max-text-bytes", "-5"],
      ["--max-text-bytes", '"-5"', "0 for none"],
    ],
    [
      ["--max-text-bytes", "1.5"],
      ["--max-text-bytes", '"1.5"', "whole"],
    ],
    [
      ["--ping-interval-ms", "1e3"],
      ["--ping-interval-ms", '"1e3"', "100"],
    ],
    [
      ["--ping-interval-ms", "5"],
      ["--ping-interval-ms", '"5"', "100"],
    ],
    [
      ["--max-reply-bytes", "1000000"],
      ["--max-reply-bytes", "262144"],
    ],
    [
      ["--nonsense", "1"],
      ["--nonsense", "--help"],
    ],
    [["general"], ["general", "--help"]],
    [
      ["--config", "/nowhere/x.toml"],
      ["--config", "/nowhere/x.toml"],
    ],
  ])(
    "because of %p names the option, the value and what is allowed",
    async (args, parts) => {
      const line = await complaintOf(args);
      for (const part of parts) expect(line).toContain(part);
    },
  );

  test.each<[string, string, string]>([
    ["PORT", "http", "65535"],
    ["ROOMCAST_HISTORY", "postgres", "sqlite or memory"],
    ["ROOMCAST_MAX_TEXT_BYTES", "many", "0 for none"],
  ])("because of the variable %s=%s names it", async (name, value, allowed) => {
    const line = await complaintOf([], { [name]: value });
    for (const part of [name, `"${value}"`, allowed])
      expect(line).toContain(part);
  });

  test.each([
    ['history = "postgres"', ["history", "postgres", "sqlite or memory"]],
    ["port = 65536", ["port", "65536", "65535"]],
    ["port = true", ["port", "true", "65535"]],
    ["nonsense = 1", ["nonsense", "--help"]],
    ["port =", ["cannot be read"]],
  ])(
    "because of the file's line %p names it and the file",
    async (content, parts) => {
      using folder = new TempFolder();
      const file = join(folder.path, "roomcast.toml");
      await Bun.write(file, `${content}\n`);
      const line = await complaintOf(["--config", file]);
      for (const part of [...parts, file]) expect(line).toContain(part);
    },
  );

  test.each(["log.db", "history.db"])(
    "because %s was written by a newer version says so, and changes nothing",
    async (file) => {
      using folder = new TempFolder();
      {
        await using server = await start(folder.path);
        await server.signal("SIGTERM");
      }
      edit(folder.path, file, "PRAGMA user_version = 99");
      const line = await complaintOf(["--port", "0", "--data", folder.path]);
      expect(line).toContain(join(folder.path, file));
      expect(line).toContain("99");
      expect(line).toContain("newer");
      const db = new Database(join(folder.path, file));
      expect(db.query("PRAGMA user_version").get()).toEqual({
        user_version: 99,
      });
      db.close();
    },
  );
});

test("a schema of an older version is brought up to date", async () => {
  using folder = new TempFolder();
  {
    await using server = await start(folder.path);
    using bob = await Client.connect(server.url);
    await bob.join("r");
    await bob.say("r", "kept");
    await server.signal("SIGTERM");
  }
  edit(
    folder.path,
    "history.db",
    "DROP INDEX rooms_first_ts",
    "ALTER TABLE events DROP COLUMN kind",
    "ALTER TABLE events DROP COLUMN n",
    "PRAGMA user_version = 1",
  );
  edit(
    folder.path,
    "log.db",
    "ALTER TABLE log DROP COLUMN kind",
    "PRAGMA user_version = 1",
  );
  await using server = await start(folder.path, "--api-key", KEY);
  using ann = await Client.connect(server.url);
  expect(texts((await ann.join("r", { history: 5 })).messages)).toEqual([
    "kept",
  ]);
  // Its row in the log is found, although the history does not know which it is.
  const back = await BackEnd.at(server.http);
  expect((await back.delete("/rooms/r/messages/1")).status).toBe(204);
  const log = new Database(join(folder.path, "log.db"), { readonly: true });
  expect(
    log.query("SELECT trim(text) AS text FROM log WHERE n = 1").get(),
  ).toEqual({
    text: "",
  });
  log.close();
  await server.signal("SIGTERM");
  const db = new Database(join(folder.path, "history.db"));
  expect(db.query("PRAGMA user_version").get()).toEqual({ user_version: 3 });
  expect(db.query("SELECT text, kind FROM events WHERE seq = 1").get()).toEqual(
    {
      text: "",
      kind: 1,
    },
  );
  expect(
    db
      .query("SELECT name FROM sqlite_master WHERE name = ?")
      .get("rooms_first_ts"),
  ).not.toBeNull();
  db.close();
});

describe.concurrent("options", () => {
  test("--help lists every one, and starts nothing", async () => {
    const { code, said, complaint } = await run("server", ["--help"]);
    expect({ code, complaint }).toEqual({ code: 0, complaint: "" });
    for (const key of OPTION_KEYS)
      expect(said).toMatch(new RegExp(`^ +${flagOf(key)} `, "m"));
    for (const flag of ["--config", "--help", "--version"])
      expect(said).toContain(flag);
    expect(said).toMatch(/--max-text-bytes +bytes +4096 /);
  });

  test("--version tells the package's version", async () => {
    expect(await run("server", ["--version"])).toEqual({
      code: 0,
      said: `${packageJson.version}\n`,
      complaint: "",
    });
  });

  test("are taken from flags before variables before the file", async () => {
    using folder = new TempFolder();
    const file = join(folder.path, "roomcast.toml");
    await Bun.write(
      file,
      [
        "port = 0",
        'host = "127.0.0.1"',
        'history = "memory"',
        "max_text_bytes = 11",
        "max_data_bytes = 12",
        "max_rooms_per_connection = 13",
        "max_messages_per_second = 0",
      ].join("\n"),
    );
    const child = Bun.spawn(
      [
        process.execPath,
        "run",
        "src/server.ts",
        "--config",
        file,
        "--max-rooms-per-connection",
        "33",
      ],
      {
        cwd: ROOT,
        env: {
          ...process.env,
          PORT: "",
          ROOMCAST_MAX_DATA_BYTES: "22",
          ROOMCAST_MAX_ROOMS_PER_CONNECTION: "23",
        },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    try {
      const url = await address(child.stdout);
      using bob = await Client.connect(url);
      expect(bob.welcome.limits).toMatchObject({
        max_text_bytes: 11,
        max_data_bytes: 22,
        max_rooms_per_connection: 33,
        max_messages_per_second: 0,
        max_frame_bytes: 65536,
      });
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
  });

  test("take the port from PORT", async () => {
    using folder = new TempFolder();
    const child = Bun.spawn(
      [process.execPath, "run", "src/server.ts", "--data", folder.path],
      {
        cwd: ROOT,
        // 0 picks a free one; without the variable it would be 8080.
        env: { ...process.env, PORT: "0", ROOMCAST_HOST: "127.0.0.1" },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    try {
      const url = await address(child.stdout);
      expect(url).not.toEndWith(":8080");
      using bob = await Client.connect(url);
      await bob.join("r");
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
  });
});

/** The address in the line that a server prints when it listens, as ws://… */
async function address(output: ReadableStream<Uint8Array>): Promise<string> {
  let printed = "";
  for await (const chunk of output) {
    printed += new TextDecoder().decode(chunk);
    const url = /http(:\/\/[^: ]+:\d+)/.exec(printed)?.[1];
    if (url) return `ws${url}`;
  }
  throw new Error(`the server ended and said: ${printed}`);
}

test("one line says where it listens and where history is kept", async () => {
  using folder = new TempFolder();
  await using server = await start(folder.path);
  expect(server.greeting).toMatch(/^[^\n]+\n$/);
  expect(JSON.parse(server.greeting)).toEqual({
    level: "info",
    time: expect.any(String),
    msg: `roomcast listens on http://127.0.0.1:${server.port} (sockets at /chat), history in ${folder.path}`,
  });
});

test("in memory mode no file is written, and every start is a new epoch", async () => {
  using folder = new TempFolder();
  const data = join(folder.path, "data");
  const epochs: string[] = [];
  for (let i = 0; i < 2; i++) {
    await using server = await start(data, "--history", "memory");
    using bob = await Client.connect(server.url);
    expect(bob.user.name).toBe("user0");
    const joined = await bob.join("r", {
      since: { epoch: epochs[0] ?? "", seq: 1 },
      history: 5,
    });
    expect(joined).toMatchObject({ recovered: false, seq: 0, messages: [] });
    await bob.say("r", "hi", { id: "k" });
    expect(
      await bob.join("r", { since: { epoch: joined.epoch, seq: 0 } }),
    ).toMatchObject({ recovered: true, seq: 1 });
    epochs.push(joined.epoch);
    expect(await server.signal("SIGTERM")).toBe(0);
  }
  expect(epochs[0]).not.toBe(epochs[1]);
  expect(readdirSync(folder.path)).toEqual([]);
});

test("the data folder and what is in it is nobody else's to read", async () => {
  using folder = new TempFolder();
  const data = join(folder.path, "data");
  await using server = await start(data);
  using bob = await Client.connect(server.url);
  await bob.join("r");
  expect(statSync(data).mode & 0o777).toBe(0o700);
  for (const file of ["session.key", "guests"])
    expect(statSync(join(data, file)).mode & 0o777).toBe(0o600);
});

describe.concurrent("after kill -9", () => {
  test("epoch, positions, keys, sessions and names go on", async () => {
    using folder = new TempFolder();
    await using server = await start(folder.path, ...FAST);
    using bob = await Client.connect(server.url, "json", "name=Bob");
    using guest = await Client.connect(server.url);
    const { epoch } = await bob.join("r");
    await say(bob, "r", 100);
    const first = await bob.say("r", "with a key", { id: "k" });
    await server.signal("SIGKILL");

    await using next = await start(folder.path);
    using back = await Client.connect(
      next.url,
      "json",
      `session=${bob.welcome.session}`,
    );
    expect(back.user).toEqual(bob.user);
    const joined = await back.join("r", { since: { epoch, seq: 90 } });
    expect(joined).toMatchObject({ epoch, seq: 101, recovered: true });
    expect(seqs(joined.messages)).toEqual(range(91, 101));
    const repeat = await back.say("r", "again", { id: "k" });
    expect(repeat).toEqual({ ...first, ref: repeat.ref, duplicate: true });
    expect((await back.say("r", "new")).seq).toBe(102);
    expect(texts(await wholeHistory(back, "r"))).toEqual([
      ...range(0, 99).map((i) => `m${i}`),
      "with a key",
      "new",
    ]);
    using other = await Client.connect(next.url);
    const number = (client: Client): number =>
      Number(client.user.name.slice(4));
    expect(number(other)).toBeGreaterThan(number(guest));
  });

  test.each([
    [
      "the epoch changes under another boot of the machine",
      [],
      "SIGKILL",
      false,
    ],
    [
      "the epoch stays under another boot where every commit was synced",
      ["--durability", "full"],
      "SIGKILL",
      true,
    ],
    [
      "after a clean end the epoch stays under another boot",
      [],
      "SIGTERM",
      true,
    ],
  ] as const)("%s", async (_, flags, signal, stays) => {
    using folder = new TempFolder();
    let epoch: string;
    {
      await using server = await start(folder.path, ...flags);
      using bob = await Client.connect(server.url);
      ({ epoch } = await bob.join("r"));
      await say(bob, "r", 3);
      await server.signal(signal);
    }
    edit(
      folder.path,
      "log.db",
      "UPDATE meta SET value = 'another boot' WHERE key = 'boot'",
    );
    let changed: string;
    {
      await using server = await start(folder.path, ...flags);
      using bob = await Client.connect(server.url);
      const joined = await bob.join("r", {
        since: { epoch, seq: 1 },
        history: 10,
      });
      expect(joined).toMatchObject({ seq: 3, recovered: stays });
      expect(joined.messages.at(-1).text).toBe("m2");
      changed = joined.epoch;
      if (stays) expect(changed).toBe(epoch);
      else expect(changed).not.toBe(epoch);
      await server.signal("SIGKILL");
    }
    // The new epoch is the store's from now on.
    await using server = await start(folder.path, ...flags);
    using bob = await Client.connect(server.url);
    expect((await bob.join("r")).epoch).toBe(changed);
  });
});

test("automatic names go on after a clean end, without a hole", async () => {
  using folder = new TempFolder();
  const names: string[] = [];
  for (let i = 0; i < 2; i++) {
    await using server = await start(folder.path);
    for (let n = 0; n < 3; n++) {
      using guest = await Client.connect(server.url);
      names.push(guest.user.name);
    }
    await server.signal("SIGTERM");
  }
  expect(names).toEqual(range(0, 5).map((n) => `user${n}`));
});

describe.concurrent("a backup", () => {
  test("taken while the server runs holds everything acknowledged before, under a new epoch", async () => {
    using folder = new TempFolder();
    const data = join(folder.path, "data");
    const target = join(folder.path, "backup");
    let epoch: string;
    let session: string;
    {
      await using server = await start(data, ...FAST);
      using bob = await Client.connect(server.url, "json", "name=Bob");
      ({ epoch } = await bob.join("r"));
      session = bob.welcome.session;
      await say(bob, "r", 200, "before ");
      // A clean end moves all into the history: the copy needs both files.
      await server.signal("SIGTERM");
    }
    await using server = await start(data, ...FAST);
    using bob = await Client.connect(server.url, "json", `session=${session}`);
    await bob.join("r");
    await say(bob, "r", 100, "then ");
    const acknowledged = 300;
    let stop = false;
    const talking = (async () => {
      while (!stop) await say(bob, "r", 10, "meanwhile ");
    })();
    const { code, said, complaint } = await run("backup", [
      target,
      "--data",
      data,
    ]);
    stop = true;
    await talking;
    expect({ code, complaint }).toEqual({ code: 0, complaint: "" });
    expect(said).toMatch(/copied \d+ events in 1 rooms/);
    expect(statSync(target).mode & 0o777).toBe(0o700);
    const head = received(bob, "message_sent").at(-1)!.seq;
    expect(head).toBeGreaterThan(acknowledged);

    await using restored = await start(target, ...FAST);
    using back = await Client.connect(
      restored.url,
      "json",
      `session=${session}`,
    );
    expect(back.user).toEqual(bob.user);
    const joined = await back.join("r", { since: { epoch, seq: 100 } });
    expect(joined.recovered).toBe(false);
    expect(joined.epoch).not.toBe(epoch);
    expect(joined.seq).toBeWithin(acknowledged, head + 1);
    const all = await wholeHistory(back, "r");
    expect(seqs(all)).toEqual(range(1, joined.seq));
    expect(texts(all).slice(0, acknowledged)).toEqual([
      ...range(0, 199).map((i) => `before ${i}`),
      ...range(0, 99).map((i) => `then ${i}`),
    ]);
    expect(Number(/copied (\d+)/.exec(said)![1])).toBe(all.length);
    expect((await back.say("r", "goes on")).seq).toBe(joined.seq + 1);
    await restored.signal("SIGKILL");

    await using again = await start(target);
    using later = await Client.connect(again.url);
    expect((await later.join("r")).epoch).toBe(joined.epoch);
  });

  test("is another epoch each time it is restored", async () => {
    using folder = new TempFolder();
    const data = join(folder.path, "data");
    const epochs: string[] = [];
    for (const name of ["data", "one", "two"]) {
      if (name !== "data") {
        const { code } = await run("backup", [
          join(folder.path, name),
          "--data",
          data,
        ]);
        expect(code).toBe(0);
      }
      await using server = await start(join(folder.path, name));
      using bob = await Client.connect(server.url);
      epochs.push((await bob.join("r")).epoch);
      await server.signal("SIGTERM");
    }
    expect(new Set(epochs).size).toBe(3);
  });

  test("into a folder that is not empty, or of nothing, is refused with a clear line", async () => {
    using folder = new TempFolder();
    const data = join(folder.path, "data");
    {
      await using server = await start(data);
      await server.signal("SIGTERM");
    }
    const full = join(folder.path, "full");
    mkdirSync(full);
    await Bun.write(join(full, "precious"), "x");
    const refused = await run("backup", [full, "--data", data]);
    expect(refused).toMatchObject({ code: 1, said: "" });
    expect(refused.complaint).toMatch(/^roomcast: [^\n]*not empty[^\n]*\n$/);
    expect(readdirSync(full)).toEqual(["precious"]);

    const empty = join(folder.path, "empty");
    const nothing = await run("backup", [
      join(folder.path, "target"),
      "--data",
      empty,
    ]);
    expect(nothing).toMatchObject({ code: 1, said: "" });
    expect(nothing.complaint).toMatch(
      /^roomcast: [^\n]*nothing to copy[^\n]*\n$/,
    );
    expect(existsSync(empty)).toBe(false);

    const unsaid = await run("backup", []);
    expect(unsaid.code).toBe(1);
    expect(unsaid.complaint).toContain("Usage");
  });
});

describe.concurrent("retention", () => {
  const DAY_MS = 86_400_000;

  /** Twenty events in `r`, one in `other`; then a clean end. @returns the epoch */
  async function fill(data: string): Promise<string> {
    await using server = await start(data);
    using bob = await Client.connect(server.url, "json", "name=Bob");
    const { epoch } = await bob.join("r");
    await bob.join("other");
    await say(bob, "r", 20);
    await bob.say("other", "kept", { id: "k" });
    await server.signal("SIGTERM");
    return epoch;
  }

  /** What a client finds of `r` where only the events above `floor` are left of 20. */
  async function expectTrimmed(
    server: ServerProcess,
    epoch: string,
    floor: number,
  ): Promise<void> {
    using bob = await Client.connect(server.url);
    const missed = await bob.join("r", { since: { epoch, seq: floor - 5 } });
    expect(missed).toMatchObject({ epoch, seq: 20, recovered: false });
    const joined = await bob.join("r", { history: 100 });
    expect(seqs(joined.messages)).toEqual(range(floor + 1, 20));
    expect(joined.more).toBe(false);
    expect(
      seqs((await bob.join("r", { since: { epoch, seq: floor } })).messages),
    ).toEqual(range(floor + 1, 20));
    expect(
      (await bob.join("r", { since: { epoch, seq: floor } })).recovered,
    ).toBe(true);
    const [first] = await wholeHistory(bob, "r");
    // Its `prev` is above the position asked for: that is how a client sees the trim.
    expect(first?.seq).toBe(floor < 20 ? floor + 1 : undefined);
    using other = await Client.connect(server.url);
    expect(texts((await other.join("other", { history: 5 })).messages)).toEqual(
      ["kept"],
    );
  }

  test("by count keeps a room's latest events, and its head", async () => {
    using folder = new TempFolder();
    const epoch = await fill(folder.path);
    {
      await using server = await start(
        folder.path,
        "--retention-events-per-room",
        "5",
      );
      await expectTrimmed(server, epoch, 15);
      await server.signal("SIGTERM");
    }
    expect(count(folder.path, "history.db", "events")).toBe(6);
    // What is gone stays gone, also without the option.
    await using server = await start(folder.path);
    await expectTrimmed(server, epoch, 15);
    using bob = await Client.connect(server.url);
    await bob.join("r");
    expect((await bob.say("r", "new")).seq).toBe(21);
  });

  test("by age shows no older events, and keeps the head", async () => {
    using folder = new TempFolder();
    const epoch = await fill(folder.path);
    // The first twelve are as old as that.
    for (const [file, table] of [
      ["log.db", "log"],
      ["history.db", "events"],
    ] as const)
      edit(
        folder.path,
        file,
        `UPDATE ${table} SET ts = ts - ${2 * DAY_MS} WHERE text LIKE 'm%' AND seq <= 12`,
      );
    edit(
      folder.path,
      "history.db",
      "UPDATE rooms SET first_ts = (SELECT min(ts) FROM events WHERE room = rooms.id)",
    );
    for (let i = 0; i < 2; i++) {
      await using server = await start(folder.path, "--retention-days", "1");
      await expectTrimmed(server, epoch, 12);
      await server.signal("SIGTERM");
    }
  });

  test("of everything leaves the head, and knows no key of what is gone", async () => {
    using folder = new TempFolder();
    const epoch = await fill(folder.path);
    for (const [file, table] of [
      ["log.db", "log"],
      ["history.db", "events"],
    ] as const)
      edit(folder.path, file, `UPDATE ${table} SET ts = ts - ${2 * DAY_MS}`);
    edit(
      folder.path,
      "history.db",
      `UPDATE rooms SET first_ts = first_ts - ${2 * DAY_MS}`,
    );
    for (let i = 0; i < 2; i++) {
      await using server = await start(folder.path, "--retention-days", "1");
      using bob = await Client.connect(server.url);
      expect(
        await bob.join("r", { since: { epoch, seq: 19 }, history: 10 }),
      ).toMatchObject({ epoch, seq: 20, recovered: false, messages: [] });
      expect(await bob.join("r", { since: { epoch, seq: 20 } })).toMatchObject({
        recovered: true,
        messages: [],
      });
      expect(await server.signal("SIGTERM")).toBe(0);
    }
    await using server = await start(folder.path);
    using bob = await Client.connect(server.url);
    await bob.join("r");
    expect((await bob.say("r", "new")).seq).toBe(21);
  });
});
