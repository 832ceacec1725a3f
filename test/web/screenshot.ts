/**
 * `bun test/web/screenshot.ts [FOLDER]`: pictures of the page with a made-up conversation; without a folder, the README's
 * `src/web/screenshot.png`.
 */
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { colourOf } from "../../src/web/text/people.ts";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { launch } from "./browser.ts";

type Line = readonly [minutesAgo: number, name: string, text: string];

const DAY = 24 * 60;

const GENERAL: readonly Line[] = [
  [DAY + 95, "Noor", "The new tea room has a window seat now"],
  [DAY + 93, "Tomás", "Finally! Who do I thank?"],
  [DAY + 92, "Noor", "Ines found the bench, I only carried it 😄"],
  [
    48,
    "Ines",
    "Morning! I moved the tide tables into one page:\nhttps://example.org/harbour/tides#this-week",
  ],
  [
    47,
    "Ines",
    "If something looks off, tell me and I will check it against the gauge",
  ],
  [
    41,
    "Tomás",
    "Thursday says 04:12, my notes say 04:21. Could be my handwriting.",
  ],
  [39, "Ines", "04:21 is right. Fixed, thank you!"],
  [
    24,
    "Noor",
    "I will be at the slipway from ten if anybody wants to look at the winch with me",
  ],
  [22, "Jun", "Me! I can bring the long spanner"],
  [21, "Jun", "And coffee"],
  [20, "Noor", "❤️"],
  [
    6,
    "Tomás",
    "The ferry crew asks whether we can move the regatta briefing to 18:30, because the late boat only lands at six. I said I would ask here first.",
  ],
  [4, "Ada", "18:30 works for me"],
  [2, "Jun", "Same here 👍"],
];

const TEA: readonly Line[] = [
  [30, "Noor", "Does anybody know what is in the green tin?"],
  [11, "Jun", "Gunpowder. The tea, not the other one"],
  [9, "Noor", "Reassuring"],
];

const OPS: readonly Line[] = [[3, "Ines", "Gauge 2 is back"]];

const realNow = Date.now;
/** The server takes the time of a message from here. */
function setMinutesAgo(minutes: number): void {
  Date.now = () => realNow() - minutes * 60_000;
}

export class Scene implements AsyncDisposable {
  readonly people = new Map<string, Client>();

  private constructor(readonly server: InProcessServer) {}

  static async make(): Promise<Scene> {
    const scene = new Scene(new InProcessServer());
    for (const [room, lines] of [
      ["harbour", GENERAL],
      ["tea-room", TEA],
      ["gauges", OPS],
    ] as const)
      for (const [minutesAgo, name, text] of lines) {
        setMinutesAgo(minutesAgo);
        const client = await scene.person(name);
        await client.join(room);
        await client.say(room, text);
      }
    Date.now = realNow;
    return scene;
  }

  async person(name: string): Promise<Client> {
    const known = this.people.get(name);
    if (known) return known;
    const others = [...this.people.values()];
    const taken = new Set(others.map(({ user }) => colourOf(user.id)));
    for (;;) {
      const client = await Client.connect(
        this.server.url,
        "msgpack",
        `name=${encodeURIComponent(name)}`,
      );
      // A user's id is random, and the colour comes from it: five people of five colours make the better picture.
      if (taken.has(colourOf(client.user.id))) {
        client.close();
        continue;
      }
      this.people.set(name, client);
      return client;
    }
  }

  /** Ada at her page, with two more rooms, one of which has news. */
  async ada(browser: Browser, options: object): Promise<Page> {
    const context = await browser.newContext({
      locale: "en-GB",
      ...options,
    });
    const page = await context.newPage();
    const session = (await this.person("Ada")).welcome.session as string;
    await page.addInitScript(
      ([session]) => {
        if (localStorage.getItem("roomcast")) return;
        const rooms = ["harbour", "tea-room", "gauges"].map((name) => ({
          name,
        }));
        localStorage.setItem(
          "roomcast",
          JSON.stringify({ name: "Ada", session, rooms, active: "harbour" }),
        );
      },
      [session],
    );
    await page.goto(this.server.http);
    await page.getByText("Same here").waitFor();
    return page;
  }

  async news(): Promise<void> {
    const noor = await this.person("Noor");
    const ines = await this.person("Ines");
    await noor.say("tea-room", "The kettle is on");
    await noor.say("tea-room", "Second pot at eleven");
    await ines.say("gauges", "And gauge 3 as well");
    (await this.person("Tomás")).send({
      action: "typing",
      room: "harbour",
      active: true,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.people.values()) client.close();
    await this.server[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  await using scene = await Scene.make();
  const browser = await launch();
  const folder = process.argv[2];
  const desktop = { viewport: { width: 1280, height: 850 } };
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await scene.ada(browser, { ...desktop, colorScheme });
    await scene.news();
    await page.getByText("is typing").waitFor();
    await page.locator(".round-trip").waitFor();
    const path = folder
      ? join(folder, `${colorScheme}.png`)
      : join(import.meta.dir, "../../src/web/screenshot.png");
    if (folder || colorScheme === "light") await page.screenshot({ path });
    await page.context().close();
  }
  await browser.close();
}
