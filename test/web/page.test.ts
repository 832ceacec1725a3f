import { describe, expect, test, setDefaultTimeout } from "bun:test";
import { join } from "node:path";
import { InProcessServer, TempFolder } from "../support/server.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** Paths of the files that a page names. */
const filesOf = (html: string): string[] =>
  [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((m) => m[1]!);

describe("the page at /", () => {
  test("comes with all its files, each with the strict headers", async () => {
    await using server = new InProcessServer();
    const page = await fetch(`${server.http}/`);
    const html = await page.text();
    const files = filesOf(html);
    expect(files.map((f) => f.split(".").at(-1)).sort()).toEqual([
      "css",
      "js",
      "svg",
    ]);
    const answers = [page];
    for (const file of files) answers.push(await fetch(server.http + file));
    for (const { status, headers } of answers) {
      expect(status).toBe(200);
      const policy = headers.get("content-security-policy")!;
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(policy).not.toMatch(/https?:|\*|data:/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
    }
    expect(page.headers.get("content-type")).toStartWith("text/html");
    expect(page.headers.get("cache-control")).toBe("no-cache");
    expect(answers[1]!.headers.get("cache-control")).toContain("immutable");
    // Nothing that the policy would stop, and nothing from elsewhere.
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\bon\w+=|https?:/);
  });

  test("is not sent again to who has it", async () => {
    await using server = new InProcessServer();
    const etag = (await fetch(server.http)).headers.get("etag")!;
    const again = await fetch(server.http, {
      headers: { "if-none-match": etag },
    });
    expect(again.status).toBe(304);
    expect(again.headers.get("content-security-policy")).not.toBeNull();
  });

  test("is compressed for who can read that", async () => {
    await using server = new InProcessServer();
    const get = async (encoding: string) => {
      const answer = await fetch(server.http, {
        headers: { "accept-encoding": encoding },
      });
      return [answer.headers.get("content-encoding"), await answer.text()];
    };
    const [zipped, text] = await get("gzip");
    const [plain, same] = await get("identity");
    expect([zipped, plain]).toEqual(["gzip", null]);
    expect(text).toBe(same);
  });

  test("is small", async () => {
    await using server = new InProcessServer();
    const html = await (await fetch(server.http)).text();
    let bytes = html.length;
    for (const file of filesOf(html)) {
      const body = await (await fetch(server.http + file)).arrayBuffer();
      bytes += Bun.gzipSync(body).length;
    }
    expect(bytes).toBeLessThan(45_000);
  });

  test("leaves everything else to the server", async () => {
    await using server = new InProcessServer();
    const status = async (path: string, init?: RequestInit) =>
      (await fetch(server.http + path, init)).status;
    expect(await status("/nothing")).toBe(404);
    expect(await status("/chunk-00000000.js")).toBe(404);
    expect(await status("/..%2f..%2fpackage.json")).toBe(404);
    expect(await status("/index.html")).toBe(404);
    expect(await status("/", { method: "POST" })).toBe(404);
    expect(await status("/", { method: "HEAD" })).toBe(200);
    expect(await status("/health")).toBe(200);
    expect(await status("/chat")).toBe(426);
  });

  test("can be switched off", async () => {
    await using server = new InProcessServer("--page", "off");
    expect((await fetch(server.http)).status).toBe(404);
  });

  test("is inside what bun build makes of the server", async () => {
    using folder = new TempFolder();
    const root = join(import.meta.dir, "../..");
    const built = Bun.spawn(
      [
        process.execPath,
        "build",
        "--target=bun",
        "--minify",
        `--outdir=${folder.path}`,
        "src/web/page.ts",
      ],
      { cwd: root, stdout: "ignore", stderr: "pipe" },
    );
    expect(await new Response(built.stderr).text()).toBe("");
    const { respondWithPage } = await import(join(folder.path, "page.js"));
    const page: Response = await respondWithPage(
      new Request("http://localhost/"),
      "/",
    );
    expect(page.headers.get("content-type")).toStartWith("text/html");
    for (const file of filesOf(await page.text())) {
      const answer: Response | undefined = await respondWithPage(
        new Request(`http://localhost${file}`),
        file,
      );
      expect(answer?.status, file).toBe(200);
    }
  });
});
