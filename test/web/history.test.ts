import { expect, test, setDefaultTimeout } from "bun:test";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { describeInBrowser, Visitor } from "./browser.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

const MANY = 10_000;

/** A server with so many messages in a room that one page cannot draw them. */
async function withManyMessages(): Promise<{
  server: InProcessServer;
  bob: Client;
}> {
  const server = new InProcessServer("--max-messages-per-second", "0");
  const bob = await Client.connect(server.url, "msgpack", "name=Bob");
  await bob.join("general", { echo: false });
  for (let i = 1; i <= MANY; i += 500)
    await Promise.all(
      Array.from({ length: 500 }, (_, k) =>
        bob.say(
          "general",
          `message ${i + k}${" and more".repeat((i + k) % 9)}`,
        ),
      ),
    );
  return { server, bob };
}

describeInBrowser("a long history", () => {
  test("is read from the end to the start, draws little of it, and keeps its place", async () => {
    const { server, bob } = await withManyMessages();
    await using _ = server;
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await ann.sees(`message ${MANY}`);
    const { page } = ann;

    // The row at the top of the view stays where it is while older ones come in above it.
    const place = await page.evaluate(async () => {
      const log = document.querySelector(".messages")!;
      const frame = () => new Promise(requestAnimationFrame);
      log.scrollTop = 300;
      await frame();
      const { top } = log.getBoundingClientRect();
      const row = [...log.querySelectorAll(".message")].find(
        (r) => r.getBoundingClientRect().bottom > top,
      )!;
      const before = row.getBoundingClientRect().top;
      const height = log.scrollHeight;
      const moved: number[] = [];
      while (log.scrollHeight === height) await frame();
      for (let i = 0; i < 10; i++) {
        moved.push(row.getBoundingClientRect().top - before);
        await frame();
      }
      return { moved, grew: log.scrollHeight > height };
    });
    expect(place.grew).toBe(true);
    for (const moved of place.moved) expect(Math.abs(moved)).toBeLessThan(2);

    // To the very first one.
    const walk = await page.evaluate(async () => {
      const log = document.querySelector(".messages")!;
      const frame = () => new Promise(requestAnimationFrame);
      let most = 0;
      while (!log.querySelector(".start")) {
        log.scrollTop = 0;
        await frame();
        most = Math.max(most, log.querySelectorAll(".message").length);
      }
      return { most, nodes: document.querySelectorAll("*").length };
    });
    await ann.sees("message 1");
    expect((await ann.texts())[0]).toStartWith("message 1 ");
    expect(walk.most).toBeLessThan(600);
    expect(walk.nodes).toBeLessThan(4_000);

    // Somebody writes: the reader stays here, and is told.
    await bob.say("general", "something new");
    await page.getByRole("button", { name: "1 new message" }).waitFor();
    await page.getByText("message 1 ").first().waitFor();
    expect(await page.getByText("something new").count()).toBe(0);
    await page.getByRole("button", { name: "1 new message" }).click();
    await ann.sees("something new");
    await bob.say("general", "and at the end one stays at the end");
    await ann.sees("at the end one stays");
    expect(
      await page.evaluate(() => {
        const log = document.querySelector(".messages")!;
        return log.scrollHeight - log.scrollTop - log.clientHeight;
      }),
    ).toBeLessThan(2);

    // Every message was there once, in order: all heights that were measured add up to rows that follow each other.
    const texts = await ann.texts();
    const numbers = texts
      .slice(0, -2)
      .map((text) => Number(/message (\d+)/.exec(text)![1]));
    for (const [at, number] of numbers.entries())
      expect(number).toBe(numbers[0]! + at);
    bob.close();
  });
});
