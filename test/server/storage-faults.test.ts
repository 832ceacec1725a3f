import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, type Message } from "../support/client.ts";
import { fullHistory } from "../support/full-history.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";

/** What a disk can do to a running server: nothing acknowledged is lost, sends are refused, and service comes back. */

setDefaultTimeout(60_000);

const FLAGS = ["--max-messages-per-second", "0", "--move-interval-ms", "200"];
const TEXT = "x".repeat(3000);

const mebibytes = (n: number): number => n * 1024 * 1024;

/** Sends until an answer is wanted; what is refused is sent again with the same id, as clients do. */
class Sender {
  readonly acked: { id: string; seq: number }[] = [];
  #next = 0;

  constructor(private readonly client: Client) {}

  async until(wanted: (answer: Message) => boolean): Promise<Message> {
    for (;;) {
      const id = `m${this.#next}`;
      const answer = await this.client.say("a", TEXT, { id });
      if (answer.action === "message_sent") {
        this.acked.push({ id, seq: answer.seq });
        this.#next++;
      }
      if (wanted(answer)) return answer;
    }
  }

  refused = (): Promise<Message> => this.until((a) => a.action === "error");
  stored = (): Promise<Message> =>
    this.until((a) => a.action === "message_sent");
}

const healthOf = async ({ http }: ServerProcess): Promise<number> =>
  (await fetch(`${http}/health`)).status;

/** Breaks something under a server, sees it refuse, mends it, sees it go on: then the history holds what was acked, once. */
async function survives(
  server: ServerProcess,
  breakIt: () => void | Promise<void>,
  mend: () => void | Promise<void>,
): Promise<void> {
  using client = await Client.connect(server.url);
  await client.join("a");
  const sender = new Sender(client);
  await sender.stored();
  await breakIt();
  const refusal = await sender.refused();
  expect(refusal).toMatchObject({ code: "unavailable" });
  expect(refusal.message).toStartWith("not stored: ");
  expect(refusal.retry_after_ms).toBeGreaterThan(0);
  expect(await healthOf(server)).toBe(503);
  const before = sender.acked.length;
  await mend();
  await sender.stored();
  for (let i = 0; i < 20; i++) await sender.stored();
  expect(sender.acked.length).toBe(before + 21);
  // The mover may still have to find out that it works again. Sending on would fill a small disk once more.
  while ((await healthOf(server)) !== 200);

  const history = await fullHistory(server.url, "a");
  expect(history.map(({ id, seq }) => ({ id, seq }))).toEqual(sender.acked);
  // What was refused was sent to nobody.
  expect(client.events("a").map(({ seq }) => seq)).toEqual(
    history.map(({ seq }) => seq),
  );
}

/** Everything is there after a restart too. */
async function restarted(
  server: ServerProcess,
  data: string,
  signal: "SIGKILL" | "SIGTERM",
  code = 0,
): Promise<void> {
  const before = await fullHistory(server.url, "a");
  expect(await server.signal(signal)).toBe(code);
  await using again = await ServerProcess.start(data, ...FLAGS);
  expect(await fullHistory(again.url, "a")).toEqual(before);
}

/** A small disk of its own, where this system lets us have one. */
function smallDisk(path: string): boolean {
  if (process.platform !== "linux" || process.getuid!() !== 0) return false;
  return Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=24m", "x", path])
    .success;
}

test("a full disk", async () => {
  using folder = new TempFolder();
  if (!smallDisk(folder.path)) {
    console.warn("skipped: a full disk. It takes root, to mount a small one.");
    return;
  }
  try {
    const filler = join(folder.path, "filler");
    writeFileSync(filler, Buffer.alloc(mebibytes(19)));
    const data = join(folder.path, "data");
    await using server = await ServerProcess.start(data, ...FLAGS);
    await survives(
      server,
      () => {},
      () => rmSync(filler),
    );
    await restarted(server, data, "SIGTERM");
  } finally {
    Bun.spawnSync(["umount", "--lazy", folder.path]);
  }
});

test.skipIf(!Bun.which("prlimit"))(
  "writes that fail, as they do beyond a limit on files",
  async () => {
    using folder = new TempFolder();
    // Without the trap the process would end by the signal.
    await using server = await ServerProcess.startUnder(
      ["bash", "-c", `trap '' XFSZ; exec "$0" "$@"`],
      folder.path,
      ...FLAGS,
    );
    const limit = (bytes: number | "unlimited"): void => {
      const { pid } = server.process;
      Bun.spawnSync(["prlimit", `--pid=${pid}`, `--fsize=${bytes}:unlimited`]);
    };
    await survives(
      server,
      () => limit(mebibytes(1)),
      () => limit("unlimited"),
    );
    // It cannot even note that it ended well: it says so, and nothing is lost.
    limit(1);
    await restarted(server, folder.path, "SIGTERM", 1);
  },
);

test("a stranger who locks the log", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path, ...FLAGS);
  const stranger = new Database(join(folder.path, "log.db"));
  await survives(
    server,
    () => stranger.run("BEGIN IMMEDIATE") as unknown as void,
    () => stranger.run("ROLLBACK") as unknown as void,
  );
  stranger.close();
  await restarted(server, folder.path, "SIGTERM");
});

test("readiness turns green again without any message, and the log tells of both", async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(folder.path, ...FLAGS);
  using client = await Client.connect(server.url);
  await client.join("a");
  const stranger = new Database(join(folder.path, "log.db"));
  stranger.run("BEGIN IMMEDIATE");
  expect(await client.say("a", "x")).toMatchObject({ code: "unavailable" });
  expect(await healthOf(server)).toBe(503);
  stranger.run("ROLLBACK");
  while ((await healthOf(server)) !== 200) await Bun.sleep(10);
  stranger.close();
  server.process.kill("SIGTERM");
  const told = (await server.remainingOutput()).trim().split("\n");
  expect(told.map((line) => JSON.parse(line))).toMatchObject([
    { level: "error", reason: "database is locked" },
    { level: "info", msg: "messages are stored again" },
    { msg: "draining" },
    { msg: "done" },
  ]);
});

test("a damaged history: messages are taken, and the server says that it is not well", async () => {
  using folder = new TempFolder();
  {
    await using server = await ServerProcess.start(folder.path, ...FLAGS);
    using client = await Client.connect(server.url);
    await client.join("a");
    for (let i = 0; i < 200; i++) await client.say("a", TEXT);
    expect(await server.signal("SIGTERM")).toBe(0);
  }
  damage(join(folder.path, "history.db"), 5 * 4096);
  await using server = await ServerProcess.start(folder.path, ...FLAGS);
  using client = await Client.connect(server.url);
  const { seq } = await client.join("a");
  expect(seq).toBe(200);
  const sent = await client.say("a", "still here");
  expect(sent).toMatchObject({ action: "message_sent", seq: 201 });
  while ((await healthOf(server)) !== 503) await client.say("a", "more");
  const old = await client.request({
    action: "get_history",
    room: "a",
    before: 150,
  });
  expect(old).toMatchObject({ action: "error", code: "unavailable" });
});

test.each(["log.db", "history.db"])(
  "a damaged %s at the start is named in one line",
  async (name) => {
    using folder = new TempFolder();
    {
      await using server = await ServerProcess.start(folder.path, ...FLAGS);
      expect(await server.signal("SIGTERM")).toBe(0);
    }
    const file = join(folder.path, name);
    damage(file, 0);
    const before = readFileSync(file);
    const child = Bun.spawn(
      [
        ...[process.execPath, "run", "src/server.ts"],
        ...["--data", folder.path, "--port", "0"],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    expect(await child.exited).toBe(1);
    expect(await child.stdout.text()).toBe("");
    expect(await child.stderr.text()).toBe(
      `roomcast: ${file} cannot be used: file is not a database; if it is damaged, start on a copy that \`bun run backup\` made\n`,
    );
    expect(readFileSync(file)).toEqual(before);
  },
);

/** Overwrites a file from some byte on. */
function damage(file: string, from: number): void {
  const bytes = readFileSync(file);
  bytes.fill("Z", from);
  writeFileSync(file, bytes);
}
