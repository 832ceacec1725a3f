/**
 * `bun test/web/measure.ts [MESSAGES]`: how a page fares with a long room: time from opening to the first messages, scripts that held
 * it up (tasks above 50 ms) and frames while all of it is scrolled through and while messages come in, and its memory.
 */
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { launch } from "./browser.ts";

const many = Number(process.argv[2] ?? 10_000);
await using server = new InProcessServer("--max-messages-per-second", "0");
using bob = await Client.connect(server.url, "msgpack", "name=Bob");
await bob.join("general", { echo: false });
for (let i = 0; i < many; i += 500)
  await Promise.all(
    Array.from({ length: 500 }, (_, k) =>
      bob.say("general", `message ${i + k}${" and more".repeat((i + k) % 9)}`),
    ),
  );

const browser = await launch();
const page = await (
  await browser.newContext({ viewport: { width: 1280, height: 800 } })
).newPage();
await page.goto(server.http);
await page.getByLabel("Your name").fill("Ann");
const opened = performance.now();
await page.keyboard.press("Enter");
await page.getByText(`message ${many - 1}`).waitFor();
console.log(
  `first messages after ${Math.round(performance.now() - opened)} ms`,
);

interface Frames {
  readonly frames: number;
  readonly median: number;
  readonly p99: number;
  readonly longTasks: number;
  readonly longest: number;
}

/** Runs a step per frame, until it says that it is done, and measures the frames. */
async function frames(step: string): Promise<Frames> {
  return (await page.evaluate(
    `(async () => {
      const log = document.querySelector(".messages");
      const step = ${step};
      const tasks = [];
      const observer = new PerformanceObserver((list) =>
        tasks.push(...list.getEntries().map((e) => e.duration)));
      observer.observe({ type: "longtask" });
      const frame = () => new Promise(requestAnimationFrame);
      const gaps = [];
      let last = await frame();
      for (let n = 0; step(log, n) && n < 20_000; n++) {
        const now = await frame();
        gaps.push(now - last);
        last = now;
      }
      observer.disconnect();
      gaps.sort((a, b) => a - b);
      return { frames: gaps.length, median: gaps[gaps.length >> 1],
        p99: gaps[Math.floor(gaps.length * 0.99)], longTasks: tasks.length,
        longest: Math.max(0, ...tasks) };
    })()`,
  )) as Frames;
}

function report(what: string, f: Frames): void {
  console.log(
    `${what}: ${f.frames} frames, median ${f.median.toFixed(1)} ms, p99 ${f.p99.toFixed(1)} ms, ` +
      `${f.longTasks} tasks above 50 ms${f.longTasks ? `, the longest ${Math.round(f.longest)} ms` : ""}`,
  );
}

async function size(): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  const elements = await page.locator("*").count();
  console.log(
    `  ${(usedSize / 1e6).toFixed(1)} MB of heap, ${elements} elements`,
  );
}

await size();
report(
  "loading and scrolling up to the first message",
  await frames(
    `(log) => { log.scrollTop -= 600; return !log.querySelector(".start"); }`,
  ),
);
await size();
report(
  "scrolling down through all, 600 px a frame",
  await frames(
    `(log) => { log.scrollTop += 600; return log.scrollHeight - log.scrollTop - log.clientHeight > 2; }`,
  ),
);
await size();
const sending = (async () => {
  for (let i = 0; i < 500; i++) {
    await bob.say("general", `live ${i}`);
    await Bun.sleep(2);
  }
})();
report("500 messages coming in", await frames(`(log, n) => n < 100`));
await sending;
await page.getByText("live 499").waitFor();
await size();
await browser.close();
