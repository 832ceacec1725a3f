import { expect, test, setDefaultTimeout } from "bun:test";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { describeInBrowser, Visitor } from "./browser.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** Each sets `window.hurt`, or opens something, where it is taken for anything but text. */
const TEXTS = [
  `<script>window.hurt = 1</script>`,
  `<img src=x onerror="window.hurt = 1">`,
  `<svg onload="window.hurt = 1">`,
  `</div></article><h1>broken out</h1>`,
  `javascript:window.hurt=1`,
  `JAVASCRIPT:window.hurt=1//https://example.com`,
  `https://example.com/"onmouseover="window.hurt=1"`,
  `[x](javascript:window.hurt=1)`,
  `data:text/html,<script>window.hurt=1</script>`,
  `https://bank.example@evil.example/`,
  `&lt;b&gt;entities&lt;/b&gt; &amp; {{7*7}} \${7*7}`,
  `\u202Ereversed \u2066\u2066\u2066 never closed`,
  `\u0000\u0001\u0007\u001b[31mcontrols`,
  "w".repeat(4_000),
  "a\n".repeat(300),
  "Z" + "\u0335\u0336\u0337\u0338".repeat(300),
  "🏳️‍🌈".repeat(100),
];

const NAMES = [
  `<b onclick="window.hurt=1">Bob</b>`,
  `"><script>hurt=1</script>`,
  `\u202Enimda`,
  "n".repeat(64),
];

const ROOM = `<img src=x onerror="window.hurt=1">`;

describeInBrowser("hostile names and texts", () => {
  test("are shown as they were written, and do nothing", async () => {
    await using server = new InProcessServer();
    for (const name of NAMES) {
      const client = await Client.connect(
        server.url,
        "json",
        new URLSearchParams({ name }).toString(),
      );
      await client.join(ROOM);
      for (const text of TEXTS)
        expect(await client.say(ROOM, text)).toMatchObject({
          action: "message_sent",
        });
    }
    await using ann = await Visitor.open(server.http, {
      room: ROOM,
      name: "Ann",
      viewport: { width: 390, height: 800 },
    });
    await ann.sees("broken out");
    const log = ann.page.getByRole("log");
    // Through everything, so that all of it is drawn once.
    const seen = new Set<string>();
    await log.focus();
    for (;;) {
      for (const text of await ann.texts()) seen.add(text);
      if (await ann.page.getByText("This is where it starts").isVisible())
        break;
      await ann.page.keyboard.press("PageUp");
      await ann.page.evaluate(() => new Promise(requestAnimationFrame));
    }
    for (const text of TEXTS) expect(seen).toContain(text);
    const drawn = await ann.page.evaluate(() => ({
      hurt: (globalThis as { hurt?: number }).hurt,
      strange: document.querySelectorAll(
        "#app :is(script, img, iframe, object, b, style, link)",
      ).length,
      headings: document.querySelectorAll(".messages :is(h1, h2)").length,
      handlers: [...document.querySelectorAll("#app *")].flatMap((element) =>
        element.getAttributeNames().filter((name) => name.startsWith("on")),
      ),
      links: [...document.querySelectorAll("#app a")].map((a) => ({
        protocol: (a as HTMLAnchorElement).protocol,
        rel: a.getAttribute("rel"),
        target: a.getAttribute("target"),
      })),
      wider: document.documentElement.scrollWidth - innerWidth,
      cut: [...document.querySelectorAll(".text, .byline")].filter(
        (element) => element.scrollWidth > element.clientWidth,
      ).length,
    }));
    expect(drawn.hurt).toBeUndefined();
    expect(drawn.strange).toBe(0);
    expect(drawn.headings).toBe(0);
    expect(drawn.handlers).toEqual([]);
    expect(drawn.links.length).toBeGreaterThan(0);
    for (const link of drawn.links)
      expect(link).toEqual({
        protocol: "https:",
        rel: "noopener noreferrer nofollow",
        target: "_blank",
      });
    expect(drawn.wider).toBe(0);
    expect(drawn.cut).toBe(0);
  });

  test("a name that runs backwards does not turn the sentence it stands in", async () => {
    await using server = new InProcessServer();
    const room = "\u202Enimda";
    using bob = await Client.connect(
      server.url,
      "json",
      new URLSearchParams({ name: room, room }).toString(),
    );
    await using ann = await Visitor.open(server.http, { room });
    /** Whether the end of a sentence stands to the right of its start, after the name. */
    const forwards = (element: string) =>
      ann.page.locator(element).evaluate((sentence) => {
        const last = sentence.lastChild!;
        const left = (at: number): number => {
          const range = document.createRange();
          range.setStart(last, at);
          range.setEnd(last, at + 1);
          return range.getBoundingClientRect().left;
        };
        return (
          left(last.textContent!.length - 5) <
          left(last.textContent!.length - 2)
        );
      });
    expect(await forwards(".welcome-card .quiet")).toBe(true);
    await ann.enter("Ann");
    bob.send({ action: "typing", room, active: true });
    await ann.page.getByText("is typing").waitFor();
    expect(await forwards(".typing-text")).toBe(true);
    await bob.say(room, "hello");
    await ann.sees("hello");
  });

  test("settings that somebody else wrote into the storage are not believed", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http);
    await ann.page.evaluate(() =>
      localStorage.setItem(
        "roomcast",
        JSON.stringify({
          name: "Ann",
          session: "forged",
          rooms: [{ name: "x\u0000y" }, { name: "tea", read: "no" }, 7],
          format: "xml",
          theme: "<script>",
        }),
      ),
    );
    await ann.page.reload();
    await ann.connected();
    await ann.openRoom("tea");
    await ann.say("hello");
    await ann.sees("hello");
  });

  test("the page works where storage is blocked", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http);
    await ann.page.addInitScript(() =>
      Object.defineProperty(window, "localStorage", {
        get: () => {
          throw new DOMException("blocked", "SecurityError");
        },
      }),
    );
    await ann.page.reload();
    await ann.enter("Ann");
    await ann.say("hello");
    await ann.sees("hello");
  });
});
