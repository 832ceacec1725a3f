import { expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { SECRET, inSeconds, token } from "../support/tokens.ts";
import { describeInBrowser, Visitor } from "./browser.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

describeInBrowser("a page of a server that needs a token", () => {
  test("takes it from the address, keeps it out of there, and is its user, also after a reload", async () => {
    await using server = new InProcessServer("--jwt-secret", SECRET);
    const good = await token({ sub: "ann", name: "Ann of the token" });
    await using ann = await Visitor.open(server.http);
    await ann.page.goto(`${server.http}/?token=${good}#general`);
    await ann.enter("Ann");
    expect(ann.page.url()).toBe(`${server.http}/#general`);
    await ann.say("hello");
    await ann.sees("hello");
    await ann.page.reload();
    await ann.connected();
    await ann.say("again");
    await ann.sees("again");
    using bob = await Client.connect(
      server.url,
      "json",
      `token=${await token()}`,
    );
    const { messages } = await bob.join("general", { history: 5 });
    expect(messages).toMatchObject([
      { user: "ann", from: "Ann of the token", text: "hello" },
      { user: "ann", from: "Ann of the token", text: "again" },
    ]);
  });

  test("says so where it is not valid, rather than to try again for good", async () => {
    await using server = new InProcessServer("--jwt-secret", SECRET);
    await using ann = await Visitor.open(server.http, { outages: true });
    const expired = await token({ exp: inSeconds(-60) });
    await ann.page.goto(`${server.http}/?token=${expired}`);
    await ann.page.getByLabel("Your name").fill("Ann");
    await ann.page.getByRole("button", { name: "Join the room" }).click();
    await ann.page
      .getByText(/Disconnected. The token is not valid/)
      .first()
      .waitFor();
    // A link with a good one helps.
    await ann.page.goto(`${server.http}/?token=${await token()}`);
    await ann.connected();
  });

  test("says so where there is none", async () => {
    await using server = new InProcessServer(
      ...["--jwt-secret", SECRET, "--auth-timeout-ms", "100"],
    );
    await using ann = await Visitor.open(server.http);
    await ann.page.getByLabel("Your name").fill("Ann");
    await ann.page.getByRole("button", { name: "Join the room" }).click();
    await ann.page
      .getByText(/no token in time/i)
      .first()
      .waitFor();
  });
});
