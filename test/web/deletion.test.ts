import { expect, setDefaultTimeout, test } from "bun:test";
import { BackEnd, KEY } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { describeInBrowser, Visitor } from "./browser.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

describeInBrowser("a message that was deleted", () => {
  test("leaves its place, at once and when the page is opened later", async () => {
    await using server = new InProcessServer("--api-key", KEY);
    const back = await BackEnd.at(server.http);
    using bob = await Client.connect(server.url, "json", "name=Bob");
    await bob.join("general");
    for (const text of ["before", "shall go", "after"])
      await bob.say("general", text);
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await ann.sees("shall go");
    expect((await back.delete("/rooms/general/messages/2")).status).toBe(204);
    await ann.sees("Message deleted");
    const expected = ["before", "Message deleted", "after"];
    expect(await ann.texts()).toEqual(expected);
    await bob.say("general", "goes on");
    await ann.sees("goes on");
    expect(await ann.texts()).toEqual([...expected, "goes on"]);
    await using eve = await Visitor.open(server.http, { name: "Eve" });
    await eve.sees("goes on");
    expect(await eve.texts()).toEqual([...expected, "goes on"]);
  });
});
