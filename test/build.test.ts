import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { Client } from "./support/client.ts";
import { ServerProcess, TempFolder } from "./support/server.ts";

/** `bun run build`: one file, and what it does where there is nothing else. */

setDefaultTimeout(60_000);

const ROOT = join(import.meta.dir, "..");
const folder = new TempFolder();
const program = join(folder.path, "roomcast");

beforeAll(async () => {
  // Where the script puts it, on a name of its own: another run may build at the same time.
  const made = `dist/roomcast-${process.pid}`;
  const script = packageJson.scripts.build.replace("dist/roomcast", made);
  const build = Bun.spawn(["sh", "-c", script], {
    cwd: ROOT,
    env: {
      ...process.env,
      PATH: `${join(process.execPath, "..")}:${process.env.PATH}`,
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  expect(await build.exited).toBe(0);
  const file = Bun.file(join(ROOT, made));
  copyFileSync(join(ROOT, made), program);
  await file.delete();
});

afterAll(() => folder[Symbol.dispose]());

/** Runs the program in an empty folder, with nothing of this project around it. */
async function start(name: string, ...flags: string[]): Promise<ServerProcess> {
  const cwd = join(folder.path, name);
  mkdirSync(cwd);
  return await ServerProcess.run([program], cwd, ...flags);
}

test("tells its version and its options", async () => {
  const run = async (flag: string): Promise<string> =>
    await Bun.spawn([program, flag], { cwd: folder.path }).stdout.text();
  expect(await run("--version")).toBe(`${packageJson.version}\n`);
  const help = await run("--help");
  expect(help).toContain("--drain-timeout-ms");
  expect(help).toContain("Usage: roomcast [options]");
});

test.each([1, 2])(
  "with --threads %d it serves the page, passes a conversation, and stops",
  async (threads) => {
    await using server = await start(
      `threads-${threads}`,
      ...["--threads", String(threads), "--move-interval-ms", "50"],
    );
    const page = await fetch(server.http);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-security-policy")).toContain("script-src");
    const html = await page.text();
    const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      (m) => m[1]!,
    );
    const types = await Promise.all(
      files.map(async (path) => {
        const response = await fetch(`${server.http}${path}`);
        expect(response.status, path).toBe(200);
        expect((await response.bytes()).length).toBeGreaterThan(100);
        return response.headers.get("content-type")!.split(";")[0];
      }),
    );
    expect(types.sort()).toEqual([
      ...["image/svg+xml", "text/css", "text/javascript"],
    ]);

    using bob = await Client.connect(server.url, "json", "name=Bob&room=r");
    using ann = await Client.connect(server.url, "msgpack", "name=Ann&room=r");
    using eve = await Client.connect(server.url, "text", "name=Eve&room=r");
    await bob.nextAction("room_joined");
    await ann.nextAction("room_joined");
    const heard = ann.nextAction("receive_message");
    const read = eve.nextLine("[Bob]: ");
    expect(await bob.say("r", "Hi everyone")).toMatchObject({ seq: 1 });
    expect(await heard).toMatchObject({ from: "Bob", text: "Hi everyone" });
    expect((await read).line).toBe("[Bob]: Hi everyone");
    const metrics = await (await fetch(`${server.http}/metrics`)).text();
    expect(metrics).toContain("\nroomcast_events_in_total 1\n");
    // Sockets close by themselves: nothing is left to wait for.
    for (const client of [bob, ann, eve]) client.close();
    expect(await server.signal("SIGTERM")).toBe(0);
    // The thread that moves events to the history works in it too.
    expect(
      readdirSync(join(folder.path, `threads-${threads}`, "data")),
    ).toEqual(expect.arrayContaining(["history.db", "log.db"]));
    const said = await server.remainingOutput();
    expect(said).not.toContain('"level":"error"');

    await using again = await ServerProcess.run(
      [program],
      join(folder.path, `threads-${threads}`),
      ...["--threads", String(threads)],
    );
    using back = await Client.connect(again.url);
    const joined = await back.join("r", { history: 5 });
    expect(joined.messages).toMatchObject([{ seq: 1, text: "Hi everyone" }]);
  },
);
