import { expect, test, setDefaultTimeout } from "bun:test";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { describeInBrowser, Visitor } from "./browser.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

const PHONE = { viewport: { width: 360, height: 640 } };

/** What axe finds wrong. It is run by the driver, not put into the page: the page's policy holds all the while. */
async function faults(visitor: Visitor): Promise<string[]> {
  const axe = await Bun.file(
    join(import.meta.dir, "../../node_modules/axe-core/axe.min.js"),
  ).text();
  await visitor.page.evaluate(axe);
  return await visitor.page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(options: object): Promise<{ violations: Violation[] }> };
    };
    interface Violation {
      id: string;
      help: string;
      nodes: { html: string }[];
    }
    const { violations } = await axe.run({
      runOnly: [
        "wcag2a",
        "wcag2aa",
        "wcag21a",
        "wcag21aa",
        "wcag22aa",
        "best-practice",
      ],
    });
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ html }) => `${id}: ${help}: ${html.slice(0, 200)}`),
    );
  });
}

/** Waits until the button of this name has the focus. */
async function focusOn(visitor: Visitor, name: string): Promise<void> {
  const button = visitor.page.getByRole("button", { name, exact: true });
  await button.and(visitor.page.locator(":focus")).waitFor();
}

/** Somebody in two rooms, with something to read in both. */
async function scene(server: InProcessServer): Promise<Client> {
  const bob = await Client.connect(server.url, "json", "name=Bob");
  for (const room of ["general", "tea"]) {
    await bob.join(room);
    await bob.say(room, "See https://example.com/ for more");
    await bob.say(room, "And this is the second one");
  }
  return bob;
}

describeInBrowser("everybody can use the page", () => {
  test.each(["light", "dark"] as const)(
    "a checker finds nothing wrong: %s",
    async (colorScheme) => {
      await using server = new InProcessServer();
      using bob = await scene(server);
      await using ann = await Visitor.open(server.http, {
        colorScheme,
        reducedMotion: "reduce",
      });
      expect(await faults(ann)).toEqual([]);
      await ann.enter("Ann");
      await ann.openRoom("tea");
      await ann.openRoom("general");
      await ann.say("mine");
      await ann.sees("mine");
      await bob.say("tea", "unread");
      await ann.page.getByText("1 unread").waitFor();
      expect(await faults(ann)).toEqual([]);
      await ann.write.fill("x".repeat(5_000));
      await ann.page.getByText("Too long").waitFor();
      expect(await faults(ann)).toEqual([]);
    },
  );

  test("a checker finds nothing wrong on a phone, with either panel open", async () => {
    await using server = new InProcessServer();
    using _ = await scene(server);
    await using ann = await Visitor.open(server.http, {
      ...PHONE,
      name: "Ann",
      reducedMotion: "reduce",
    });
    await ann.sees("second one");
    expect(await faults(ann)).toEqual([]);
    await ann.page.getByRole("button", { name: "Open the rooms" }).click();
    await focusOn(ann, "Close the list of rooms");
    expect(await faults(ann)).toEqual([]);
    await ann.page.keyboard.press("Escape");
    await ann.page.getByRole("button", { name: "Who is here" }).click();
    await focusOn(ann, "Close the list of people");
    expect(await faults(ann)).toEqual([]);
  });

  test("a keyboard is enough", async () => {
    await using server = new InProcessServer();
    using bob = await scene(server);
    await using ann = await Visitor.open(server.http);
    const { keyboard } = ann.page;
    await ann.page.locator("input:focus").waitFor();
    await keyboard.type("Ann");
    await keyboard.press("Enter");
    await ann.sees("second one");

    await ann.page.locator("textarea:focus").waitFor();
    await keyboard.type("Hello");
    await keyboard.press("Shift+Enter");
    await keyboard.type("in two lines");
    await keyboard.press("Enter");
    await ann.sees("Hello\nin two lines");

    // From the top: the first stop leads to writing.
    await ann.page.reload();
    await ann.sees("in two lines");
    await keyboard.press("Tab");
    await focusOn(ann, "Skip to writing");
    await keyboard.press("Enter");
    await ann.page.locator("textarea:focus").waitFor();

    // Where nothing has the focus, what is typed goes there too.
    await ann.page.reload();
    await ann.sees("in two lines");
    await keyboard.type("typed");
    expect(await ann.write.inputValue()).toBe("typed");

    // Every stop has a name, and shows that it has the focus.
    await ann.page.reload();
    await ann.sees("in two lines");
    const stops: string[] = [];
    for (;;) {
      await keyboard.press("Tab");
      const stop = await ann.page.evaluate(() => {
        const element = document.activeElement!;
        if (element === document.body) return undefined;
        const shown = element.closest(".composer") ?? element;
        const face = element.matches("[type=radio]")
          ? element.nextElementSibling!
          : shown;
        const { outlineStyle, boxShadow } = getComputedStyle(face);
        return {
          name:
            element.getAttribute("aria-label") ??
            (element.closest("label") ?? element).textContent!.trim(),
          visible: outlineStyle !== "none" || boxShadow !== "none",
        };
      });
      if (!stop) break;
      expect(stop).toEqual({ name: expect.any(String), visible: true });
      stops.push(stop.name);
      if (stop.name === "Skip to writing" && stops.length > 1) break;
    }
    const order = [
      "#general",
      "Leave general",
      "Join or start a room",
      "Change your name",
      "Copy a link to this room",
      "Messages in general",
      "https://example.com/",
      "Message to general",
      "People",
    ];
    expect(stops.filter((stop) => order.includes(stop))).toEqual(order);

    // Another room, back with Alt and an arrow, and reading back with the keys of the log.
    await ann.page.getByLabel("Join or start a room").focus();
    await keyboard.type("tea");
    await keyboard.press("Enter");
    await ann.page.getByRole("heading", { name: "tea" }).waitFor();
    await ann.page.locator("textarea:focus").waitFor();
    await keyboard.press("Alt+ArrowUp");
    await ann.page.getByRole("heading", { name: "general" }).waitFor();
    // The button that leaves a room goes with it: the focus must not.
    for (const room of ["den", "attic"]) {
      await ann.page.getByLabel("Join or start a room").focus();
      await keyboard.type(room);
      await keyboard.press("Enter");
      await ann.page.getByRole("heading", { name: room }).waitFor();
    }
    for (const room of ["den", "attic"]) {
      await ann.page.getByRole("button", { name: `Leave ${room}` }).focus();
      await keyboard.press("Enter");
      await ann.page.locator("textarea:focus").waitFor();
    }
    await ann.page.getByRole("heading", { name: "general" }).waitFor();
    for (let i = 0; i < 40; i++) await bob.say("general", `line ${i}`);
    await ann.sees("line 39");
    await ann.page.getByRole("log").focus();
    await keyboard.press("Home");
    await ann.page.getByRole("button", { name: "Newest messages" }).waitFor();
    // Writing goes to where one writes, wherever one reads.
    await keyboard.type("back");
    expect(await ann.write.inputValue()).toBe("back");
    await keyboard.press("Enter");
    await ann.sees("back");
    await ann.page
      .getByRole("button", { name: "Newest messages" })
      .waitFor({ state: "detached" });
  });

  test("new messages of others are read aloud, each once, many as a number", async () => {
    await using server = new InProcessServer();
    using bob = await scene(server);
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await ann.sees("second one");
    const aloud = ann.page.locator("[aria-live=polite]");
    // Not what was there before.
    expect(await aloud.textContent()).toBe("");
    await bob.say("general", "Good morning");
    await aloud.getByText("Good morning").waitFor({ state: "attached" });
    expect((await aloud.textContent())!.replace(/[\u2068\u2069]/g, "")).toBe(
      "Bob: Good morning",
    );
    for (let i = 0; i < 30; i++) await bob.say("general", `line ${i}`);
    await aloud.getByText("new messages").waitFor({ state: "attached" });
    expect(await aloud.textContent()).not.toContain("line");
    expect(await ann.page.getByRole("log").getAttribute("aria-live")).toBe(
      "off",
    );
  });

  test.each([320, 390, 760])(
    "nothing is wider than a screen of %d px",
    async (width) => {
      await using server = new InProcessServer();
      using bob = await scene(server);
      await bob.say("general", "w".repeat(3_000));
      await bob.say("general", `https://example.com/${"long/".repeat(100)}`);
      await using ann = await Visitor.open(server.http, {
        viewport: { width, height: 640 },
      });
      const overflow = () =>
        ann.page.evaluate(
          () => document.documentElement.scrollWidth - window.innerWidth,
        );
      expect(await overflow()).toBe(0);
      await ann.enter("A".repeat(64));
      await ann.sees("www");
      expect(await overflow()).toBe(0);
      const cut = await ann.page.evaluate(
        () =>
          [...document.querySelectorAll(".text, .byline")].filter(
            (element) => element.scrollWidth > element.clientWidth,
          ).length,
      );
      expect(cut).toBe(0);
      const menu = ann.page.getByRole("button", { name: "Open the rooms" });
      if (width <= 760) await menu.click();
      await ann.page.getByLabel("Join or start a room").fill("r".repeat(120));
      await ann.page.getByLabel("Join or start a room").press("Enter");
      await ann.page.getByText("Nobody has said anything yet").waitFor();
      expect(await overflow()).toBe(0);
    },
  );

  test("light and dark follow the system until one is chosen, which is remembered", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http, {
      name: "Ann",
      colorScheme: "dark",
    });
    const dark = () =>
      ann.page.evaluate(() => {
        const [red] = getComputedStyle(document.body).backgroundColor.match(
          /\d+/,
        )!;
        return Number(red) < 100;
      });
    expect(await dark()).toBe(true);
    await ann.page.emulateMedia({ colorScheme: "light" });
    await ann.page.locator("[data-theme=light]").waitFor();
    expect(await dark()).toBe(false);
    await ann.page.getByLabel("Dark").check();
    await ann.page.locator("[data-theme=dark]").waitFor();
    await ann.page.reload();
    await ann.page.locator("[data-theme=dark]").waitFor();
    expect(await dark()).toBe(true);
  });
});
