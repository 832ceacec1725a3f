import {
  afterAll,
  beforeAll,
  describe,
  expect,
  test,
  setDefaultTimeout,
} from "bun:test";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { InProcessServer, TempFolder } from "../support/server.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** The client as it is installed by others: packed, unpacked into `node_modules`, used by its name. */

const root = join(import.meta.dir, "../..");
const support = join(import.meta.dir, "../support");
const folder = new TempFolder();
let server: InProcessServer;

async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, {
    cwd: folder.path,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [said, complaint, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ code, complaint, said }, command.join(" ")).toMatchObject({
    code: 0,
  });
  return said;
}

beforeAll(async () => {
  server = new InProcessServer();
  await run([
    process.execPath,
    "pm",
    "pack",
    "--cwd",
    root,
    "--destination",
    folder.path,
  ]);
  const modules = join(folder.path, "node_modules");
  mkdirSync(join(modules, "roomcast"), { recursive: true });
  const archive = readdirSync(folder.path).find((name) =>
    name.endsWith(".tgz"),
  )!;
  await run([
    "tar",
    "-xzf",
    archive,
    "--strip-components=1",
    "-C",
    "node_modules/roomcast",
  ]);
  for (const name of ["ws", "typebox", "@msgpack"])
    symlinkSync(join(root, "node_modules", name), join(modules, name));
});
afterAll(async () => {
  await server.stop();
  folder[Symbol.dispose]();
});

describe.each(["json", "msgpack"])("in %s", (format) => {
  test("Node holds a conversation with the package ws, and ends by itself", async () => {
    const node = Bun.which("node");
    if (!node)
      throw new Error("there is no `node` on the PATH: this test needs Node");
    const script = join(folder.path, "conversation.mjs");
    await Bun.write(script, Bun.file(join(support, "client-conversation.mjs")));
    expect(await run([node, script, server.url, format])).toBe("done\n");
  });

  const deno = Bun.which("deno");
  test.skipIf(!deno)(
    `Deno holds the same one with its own WebSocket${deno ? "" : " (skipped: no deno on the PATH)"}`,
    async () => {
      const script = join(folder.path, "conversation.mjs");
      await Bun.write(
        script,
        Bun.file(join(support, "client-conversation.mjs")),
      );
      // The package as it lies in node_modules, nothing from elsewhere; the network for this server and the port nobody has.
      const allowed = ["--allow-read=.", `--allow-net=127.0.0.1,localhost`];
      const modules = ["--node-modules-dir=manual", "--no-remote", "--no-lock"];
      const flags = ["--quiet", ...modules, ...allowed];
      const command = [deno!, "run", ...flags, script, server.url, format];
      expect(await run(command)).toBe("done\n");
    },
  );

  test("Bun holds the same one with its own WebSocket", async () => {
    const script = join(folder.path, "conversation.mjs");
    await Bun.write(script, Bun.file(join(support, "client-conversation.mjs")));
    expect(await run([process.execPath, script, server.url, format])).toBe(
      "done\n",
    );
  });
});

test("its types hold for somebody who is strict about them", async () => {
  // .mts: a module wherever the folder is, whatever package.json may lie above it.
  const program = join(folder.path, "program.mts");
  await Bun.write(
    program,
    `import { RoomcastClient, RoomcastError, type Ack, type Room } from "roomcast/client";
     const client = new RoomcastClient("ws://localhost", { name: "Ann", format: "msgpack", token: async () => "t" });
     const room: Room = await client.join("general", { history: 20 });
     room.on("message", ({ from, text, ts }) => console.log(from.length, text.length, ts + 1));
     client.on("state", ({ state, retryInMs }) => state === "reconnecting" && console.log(retryInMs));
     for await (const event of room) if (event.type === "message") console.log(event.message.seq);
     const ack: Ack = await room.send("hi", { data: { mood: "good" } });
     try { await client.ping(); } catch (error) { if (error instanceof RoomcastError) error.code satisfies string; }
     // @ts-expect-error: no such event
     room.on("massage", () => {});
     // @ts-expect-error: seq is a number
     ack.seq satisfies string;
     // @ts-expect-error: not for applications
     room.connected;
     // @ts-expect-error: read-only
     client.state = "open";
    `,
  );
  await run([
    join(root, "node_modules/.bin/tsc"),
    "--ignoreConfig",
    "--noEmit",
    "--strict",
    ...["--target", "es2022", "--lib", "es2022,dom", "--types", ""],
    ...["--module", "nodenext"],
    program,
  ]);
});
