import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import {
  chromium,
  type Browser,
  type BrowserContextOptions,
  type Page,
} from "playwright-core";

/** Where Debian and others put it. */
const PATHS = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  // A jump with a key is over when it is made: tests do not wait for animations.
  "--disable-smooth-scrolling",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let executable: string | undefined;
for (const path of PATHS)
  if (path && (await Bun.file(path).exists())) executable ??= path;

let browser: Browser | undefined;

export async function launch(): Promise<Browser> {
  if (!executable) throw new Error(HOW_TO_GET_ONE);
  return await chromium.launch({ executablePath: executable, args: ARGS });
}

const HOW_TO_GET_ONE =
  "no Chromium was found; to get one: apt-get install chromium, or set CHROMIUM to the path of one";

/** Tests with a real browser, one for all of them. Skipped, and said so, where there is none. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (!executable) {
    console.warn(`skipped: "${name}": ${HOW_TO_GET_ONE}`);
    describe.skip(name, tests);
    return;
  }
  // What the preload sets does not reach every file. This, too, only ends what hangs.
  setDefaultTimeout(60_000);
  describe(name, () => {
    beforeAll(async () => {
      browser = await launch();
    });
    afterAll(async () => {
      await browser?.close();
    });
    tests();
  });
}

export interface VisitOptions extends BrowserContextOptions {
  readonly name?: string;
  /** In the address. */
  readonly room?: string;
  /** Failures of the network belong to the test: what the browser says of them in its console is no problem. */
  readonly outages?: boolean;
}

/** Someone with a browser of their own, at the page. At the end it throws if anything was wrong in the page. */
export class Visitor implements AsyncDisposable {
  /** Errors in the console, uncaught ones, violations of the policy, requests to elsewhere. */
  readonly problems: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly origin: string,
    private readonly outages: boolean,
  ) {
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      const text = message.text();
      if (this.outages && /WebSocket connection|ERR_|Failed to load/.test(text))
        return;
      this.problems.push(`${message.type()}: ${text}`);
    });
    page.on("pageerror", (error) => this.problems.push(`uncaught: ${error}`));
    page.on("dialog", (dialog) => {
      this.problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== this.origin)
        this.problems.push(`request to ${request.url()}`);
    });
    page.on("popup", (popup) =>
      this.problems.push(`opened a window: ${popup.url()}`),
    );
  }

  /** Opens the page, and gives a name where one is given. */
  static async open(
    http: string,
    options: VisitOptions = {},
  ): Promise<Visitor> {
    const { name, room, outages = false, ...context } = options;
    const its = await browser!.newContext(context);
    its.setDefaultTimeout(15_000);
    const page = await its.newPage();
    const visitor = new Visitor(page, http, outages);
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
      );
    });
    const hash = room === undefined ? "" : `#${encodeURIComponent(room)}`;
    await page.goto(`${http}/${hash}`);
    if (name !== undefined) await visitor.enter(name);
    return visitor;
  }

  async enter(name: string): Promise<void> {
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByRole("button", { name: "Join the room" }).click();
    await this.connected();
  }

  async connected(): Promise<void> {
    await this.page.locator(".status.open").waitFor({ state: "attached" });
  }

  /** After an outage, without waiting for the next attempt. */
  async comeBack(): Promise<void> {
    await this.page
      .getByRole("button", { name: "Try now" })
      .click({ timeout: 1_000 })
      // It may have come back by itself meanwhile.
      .catch(() => {});
    await this.connected();
  }

  get write() {
    return this.page.getByRole("textbox", { name: /^Message to/ });
  }

  /** Types as a person does: into the field, then Enter. */
  async say(text: string): Promise<void> {
    await this.write.fill(text);
    await this.write.press("Enter");
  }

  /** Waits until the log shows this text, stored. */
  async sees(text: string): Promise<void> {
    await this.page
      .locator(".chunk .text", { hasText: text })
      .first()
      .waitFor();
  }

  /** Texts of what is drawn of the log, in order; those that wait are not among them. */
  async texts(): Promise<string[]> {
    return await this.page.locator(".chunk .text").allTextContents();
  }

  async openRoom(name: string): Promise<void> {
    await this.page.getByLabel("Join or start a room").fill(name);
    await this.page.getByLabel("Join or start a room").press("Enter");
    await this.page.getByRole("heading", { name, exact: false }).waitFor();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
    if (this.problems.length > 0) throw new Error(this.problems.join("\n"));
  }
}
