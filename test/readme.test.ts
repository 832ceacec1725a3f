import { describe, expect, test, setDefaultTimeout } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { helpText } from "../src/config/load.ts";
import { Client } from "./support/client.ts";
import { InProcessServer } from "./support/server.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

const root = join(import.meta.dir, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = (language: string): string[] =>
  [
    ...readme.matchAll(
      new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"),
    ),
  ].map((m) => m[1]!);

describe("the README", () => {
  test("shows the options as --help prints them", () => {
    const help = helpText();
    const table = help.slice(
      help.indexOf("  option"),
      help.indexOf("\nFor a limit"),
    );
    expect(blocks("text")[0]).toBe(table);
  });

  test("sets up the Bun that the types are for, and runs what CI runs", () => {
    const [run, tests] = blocks("sh");
    const setUp = `npm install -g bun@${packageJson.devDependencies["bun-types"]} && bun install`;
    expect(run!.trim()).toBe(`${setUp} && bun run src/server.ts`);
    expect(tests!.trim()).toBe(`${setUp} && bun test`);
    expect(readFileSync(join(root, ".ci/run"), "utf8")).toMatch(/^bun test /m);
  });

  test("names only scripts that exist", () => {
    const scripts = [...readme.matchAll(/`bun run ([a-z-]+)/g)].map(
      (m) => m[1]!,
    );
    expect(scripts.length).toBeGreaterThan(2);
    for (const script of scripts)
      if (script !== "src") expect(packageJson.scripts).toHaveProperty(script);
  });

  test("no page holds the marks of an unfinished merge", async () => {
    const pages = ["*.md", "bench/**/*.md", "src/**/*.md"].flatMap(
      (pattern) => [...new Bun.Glob(pattern).scanSync(root)],
    );
    expect(pages).toContain("bench/README.md");
    for (const page of pages)
      expect(await Bun.file(join(root, page)).text(), page).not.toMatch(
        /^(<{7} |={7}$|\|? ?={7} |>{7} |(> ){6}>)/m,
      );
  });

  test("links only to files that exist", async () => {
    for (const [, path] of readme.matchAll(/\]\(((?!http)[^)]+)\)/g))
      expect(await Bun.file(join(root, path!)).exists(), path).toBe(true);
  });

  test("tells a first conversation that happens as told, in all three formats", async () => {
    await using server = new InProcessServer();
    const [bobCode, miaCode] = blocks("js");
    // Ann, as websocat would: no subprotocol.
    const socket = new WebSocket(`${server.url}/chat?format=text&name=Ann`);
    const lines: string[] = [];
    let look = (): void => {};
    const line = (wanted: string): Promise<void> =>
      new Promise((resolve) => {
        look = () => lines.includes(wanted) && resolve();
        look();
      });
    socket.onmessage = (event) => {
      lines.push(event.data as string);
      look();
    };
    await line("You are connected! There are 1 users here.");
    socket.send("hello");
    await line("[Ann]: hello");

    const localhost = "ws://localhost:8080";
    expect(bobCode).toContain(localhost);
    expect(miaCode).toContain(localhost);
    const script = (code: string): string =>
      code.replaceAll(localhost, server.url);
    const bob = Bun.spawn([process.execPath, "-e", script(bobCode!)], {
      cwd: root,
      stdout: "pipe",
    });
    await line("[Bob]: Hi everyone");
    const mia = Bun.spawn([process.execPath, "-e", script(miaCode!)], {
      cwd: root,
      stdout: "pipe",
    });
    await line("[Mia]: Hello from Mia");
    await server.stop();
    const [bobSaw, miaSaw] = await Promise.all([
      new Response(bob.stdout).text(),
      new Response(mia.stdout).text(),
    ]);
    expect(bobSaw).toContain('"action":"message_sent"');
    expect(bobSaw).toContain("Hello from Mia");
    expect(miaSaw).toContain("Hi everyone");
    socket.close();
  });

  test.skipIf(!Bun.which("curl"))(
    "shows requests to the API that work as they are written",
    async () => {
      const key = /Bearer ([\w-]+)"/.exec(readme)![1]!;
      expect(readme).toContain(`ROOMCAST_API_KEY=${key} bun run src/server.ts`);
      const script = blocks("sh").find((block) => block.includes("curl"))!;
      const requests = script.match(/^curl/gm)!.length;
      await using server = new InProcessServer("--api-key", key);
      const local = "http://localhost:8080";
      expect(script).toContain(local);
      const shell = Bun.spawn(["sh", "-s"], {
        stdin: new Blob([
          'set -e\ncurl() { command curl -sS -o /dev/null -w "%{http_code}\\n" "$@"; }\n',
          script.replace(local, server.http),
        ]),
        stdout: "pipe",
      });
      const statuses = (await shell.stdout.text()).trim().split("\n");
      expect(statuses).toHaveLength(requests);
      for (const status of statuses) expect(status).toMatch(/^20[014]$/);
    },
  );

  test("tells how to resume", async () => {
    await using server = new InProcessServer();
    using bob = await Client.connect(server.url);
    const { epoch } = await bob.join("general");
    await bob.say("general", "one");
    await bob.say("general", "two");
    using again = await Client.connect(server.url);
    const shown = /`(\{"action":"join_room".*?\}\})`/.exec(readme)![1]!;
    again.send(shown.replace("…", epoch));
    expect(await again.nextAction("room_joined")).toMatchObject({
      recovered: true,
      messages: [{ text: "two" }],
    });
  });
});
