import { expect, test, setDefaultTimeout } from "bun:test";
import { Client } from "../support/client.ts";
import {
  InProcessServer,
  ServerProcess,
  TempFolder,
} from "../support/server.ts";
import { CuttableProxy } from "./cuttable-proxy.ts";
import { describeInBrowser, Visitor } from "./browser.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

describeInBrowser("a conversation at the page", () => {
  test("two pages talk in the two formats", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await using bob = await Visitor.open(server.http, { name: "Bob" });
    const opened = bob.page.waitForEvent("websocket");
    await bob.page.getByLabel("MessagePack").check();
    const socket = await opened;
    const binary = socket.waitForEvent("framereceived", ({ payload }) =>
      Buffer.isBuffer(payload),
    );
    await bob.connected();
    expect(Buffer.isBuffer((await binary).payload)).toBe(true);

    await ann.say("Hello from Ann");
    await bob.sees("Hello from Ann");
    await bob.say("Hello from Bob\nin two lines");
    await ann.sees("in two lines");
    const both = ["Hello from Ann", "Hello from Bob\nin two lines"];
    expect(await ann.texts()).toEqual(both);
    expect(await bob.texts()).toEqual(both);
    expect(await ann.page.locator(".chunk .author").allTextContents()).toEqual([
      "Ann",
      "Bob",
    ]);
    expect(server.roomcast.connections).toBe(2);
    const formats = [...server.roomcast.gateway!.connections].map(
      ({ codec }) => codec.name,
    );
    expect(formats.sort()).toEqual(["json", "msgpack"]);
  });

  test("a page tells who is here, and who is typing", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await using bob = await Visitor.open(server.http, { name: "Bob" });
    const people = ann.page.getByRole("complementary");
    await people.getByText("Bob").waitFor();
    await bob.write.pressSequentially("Hel");
    await ann.page.getByText(/Bob.* is typing/).waitFor();
    await bob.say("Hello");
    await ann.sees("Hello");
    await ann.page.getByText(/is typing/).waitFor({ state: "detached" });
    await bob.page.context().close();
    await people.getByText("Bob").waitFor({ state: "detached" });
    await people.getByText("Nobody else is here yet").waitFor();
  });

  test("one that loses the network misses messages, and comes back complete", async () => {
    await using server = new InProcessServer();
    await using proxy = await CuttableProxy.start(
      () => server.roomcast.server.port!,
    );
    await using ann = await Visitor.open(proxy.http, {
      name: "Ann",
      outages: true,
    });
    using bob = await Client.connect(server.url, "json", "name=Bob");
    await bob.join("general");
    await bob.say("general", "before");
    await ann.sees("before");

    proxy.cut();
    await ann.page.getByText("Reconnecting").waitFor();
    for (let i = 0; i < 20; i++) await bob.say("general", `missed ${i}`);
    await ann.say("written meanwhile");
    await ann.page.getByText("Sending…").waitFor();
    proxy.heal();
    await ann.comeBack();
    await ann.sees("written meanwhile");
    await bob.say("general", "after");
    await ann.sees("after");
    const missed = Array.from({ length: 20 }, (_, i) => `missed ${i}`);
    expect(await ann.texts()).toEqual([
      "before",
      ...missed,
      "written meanwhile",
      "after",
    ]);
    expect(await ann.page.getByText("Sending…").count()).toBe(0);
  });

  test("what waits while the server is killed arrives once after its restart", async () => {
    using folder = new TempFolder();
    let server = await ServerProcess.start(folder.path);
    await using proxy = await CuttableProxy.start(() => server.port);
    await using ann = await Visitor.open(proxy.http, {
      name: "Ann",
      outages: true,
    });
    await ann.say("one");
    await ann.sees("one");
    await server.signal("SIGKILL");
    await ann.page.getByText("Reconnecting").waitFor();
    await ann.say("two");
    await ann.say("three");
    server = await ServerProcess.start(folder.path);
    await using _ = server;
    await ann.comeBack();
    await ann.sees("three");
    await ann.say("four");
    await ann.sees("four");
    const all = ["one", "two", "three", "four"];
    expect(await ann.texts()).toEqual(all);
    using bob = await Client.connect(server.url);
    const { messages } = await bob.join("general", { history: 10 });
    expect(messages.map(({ text }: { text: string }) => text)).toEqual(all);
    // The same user as before, by the session.
    expect(
      new Set(messages.map(({ user }: { user: string }) => user)).size,
    ).toBe(1);
  });

  test("a message that is too long is not sent, and stays", async () => {
    await using server = new InProcessServer("--max-text-bytes", "40");
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await ann.write.fill("x".repeat(50));
    await ann.page.getByText("Too long for this server by 10 bytes.").waitFor();
    await ann.write.press("Enter");
    const send = ann.page.getByRole("button", { name: "Send" });
    expect(await send.isDisabled()).toBe(true);
    expect(await ann.write.inputValue()).toBe("x".repeat(50));
    await ann.write.fill("x".repeat(40));
    await ann.page.getByText("0 bytes left.").waitFor();
    await ann.write.press("Enter");
    await ann.sees("x".repeat(40));
  });

  test("a message that failed can be tried again or deleted", async () => {
    await using server = new InProcessServer();
    await using proxy = await CuttableProxy.start(
      () => server.roomcast.server.port!,
    );
    await using ann = await Visitor.open(proxy.http, { outages: true });
    await ann.page.clock.install();
    await ann.page.reload();
    await ann.enter("Ann");
    proxy.cut();
    await ann.page.getByText("Reconnecting").waitFor();
    await ann.say("again");
    await ann.say("never");
    await ann.page.getByText("Sending…").nth(1).waitFor();
    await ann.page.clock.fastForward(120_000);
    await ann.page.getByText("Not sent.").nth(1).waitFor();
    proxy.heal();
    await ann.page.getByRole("button", { name: "Delete" }).nth(1).click();
    await ann.page.getByRole("button", { name: "Try again" }).first().click();
    await ann.comeBack();
    await ann.sees("again");
    await ann.say("last");
    await ann.sees("last");
    expect(await ann.texts()).toEqual(["again", "last"]);
    expect(await ann.page.getByText("never").count()).toBe(0);
  });

  test("a room that the server does not let one into says why", async () => {
    await using server = new InProcessServer("--max-rooms-per-connection", "1");
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await ann.openRoom("tea");
    await ann.page.getByText("as many rooms as the server allows").waitFor();
    await ann.page.getByRole("button", { name: "Leave general" }).click();
    await ann.page.getByRole("button", { name: "Try again" }).click();
    await ann.say("In at last");
    await ann.sees("In at last");
  });

  test("rooms count what is unread, and remember it over a reload", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    using bob = await Client.connect(server.url, "json", "name=Bob");
    await bob.join("tea");
    await bob.say("tea", "old");
    await ann.openRoom("tea");
    await ann.sees("old");
    await ann.openRoom("general");
    await bob.say("tea", "new 1");
    await bob.say("tea", "new 2");
    const rooms = ann.page.getByRole("navigation", { name: "Rooms" });
    await rooms.getByText("2 unread").waitFor();
    await ann.page.waitForFunction(
      () => document.title === "(2) general · roomcast",
    );

    await ann.page.reload();
    await rooms.getByText("2 unread").waitFor();
    await rooms.getByRole("button", { name: "tea 2 unread" }).click();
    await ann.sees("new 2");
    // The line stands before the first new one.
    const line = ann.page.locator(".day.new + .message .text");
    expect(await line.textContent()).toBe("new 1");
    await rooms.getByText("unread").waitFor({ state: "detached" });
    expect(new URL(ann.page.url()).hash).toBe("#tea");

    await rooms.getByRole("button", { name: "Leave tea" }).click();
    await ann.page.getByRole("heading", { name: "general" }).waitFor();
    await ann.page.reload();
    await ann.connected();
    expect(await rooms.getByText("tea").count()).toBe(0);
  });

  test("the same person comes back after a reload, and a new name makes a new one", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    const userOf = (): string =>
      [...server.roomcast.gateway!.connections].at(-1)!.user.id;
    const first = userOf();
    await ann.page.reload();
    await ann.connected();
    expect(userOf()).toBe(first);
    await ann.page.getByRole("button", { name: "Change your name" }).click();
    await ann.page.getByRole("textbox", { name: "Your name" }).fill("Anna");
    await ann.page.keyboard.press("Enter");
    await ann.page.getByRole("complementary").getByText("Anna").waitFor();
    await ann.say("It is me");
    await ann.sees("It is me");
    expect(await ann.page.locator(".chunk .author").textContent()).toBe("Anna");
    expect(userOf()).not.toBe(first);
  });

  test("two tabs of one person: a new name in one is not undone by the other, and each shows its own format", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    const other = await ann.page.context().newPage();
    await other.goto(server.http);
    await other.getByText("Connected").waitFor();
    await ann.page.getByRole("button", { name: "Change your name" }).click();
    await ann.page.getByRole("textbox", { name: "Your name" }).fill("Zoe");
    await ann.page.keyboard.press("Enter");
    await ann.page.getByRole("complementary").getByText("Zoe").waitFor();
    const session = () =>
      ann.page.evaluate(() => JSON.parse(localStorage.roomcast).session);
    await ann.page.waitForFunction(
      () => JSON.parse(localStorage.roomcast).session,
    );
    const zoes = await session();
    // The other tab is still Ann, and comes back as Ann.
    await other.getByRole("radio", { name: "MessagePack" }).check();
    await other.getByRole("textbox", { name: /Message to/ }).fill("from Ann");
    await other.keyboard.press("Enter");
    await ann.sees("from Ann");
    expect(await session()).toBe(zoes);
    // Any change of a setting reads what the other tab has stored.
    await ann.page.getByRole("radio", { name: "Dark" }).check();
    const chosen = (page: typeof other) =>
      page.getByRole("radio", { name: "MessagePack" }).isChecked();
    expect(await chosen(ann.page)).toBe(false);
    expect(await chosen(other)).toBe(true);
    await ann.page.reload();
    await ann.connected();
    await ann.page.getByRole("complementary").getByText("Zoe").waitFor();
  });

  test("who leaves with messages that wait is asked, and who leaves a room is told", async () => {
    await using server = new InProcessServer();
    await using proxy = await CuttableProxy.start(
      () => server.roomcast.server.port,
    );
    await using ann = await Visitor.open(proxy.http, {
      name: "Ann",
      outages: true,
    });
    await ann.say("stored");
    await ann.sees("stored");
    const mayLeave = () =>
      ann.page.evaluate(() =>
        dispatchEvent(new Event("beforeunload", { cancelable: true })),
      );
    expect(await mayLeave()).toBe(true);
    proxy.cut();
    await ann.say("waits");
    await ann.page.getByText("Sending…").waitFor();
    expect(await mayLeave()).toBe(false);
    await ann.page.getByRole("button", { name: /^Leave/ }).click();
    await ann.page.getByText("before a message could be sent").waitFor();
    expect(await mayLeave()).toBe(true);
  });

  test("a name that only the server refuses is asked for again, and told why", async () => {
    await using server = new InProcessServer("--max-name-bytes", "16");
    await using ann = await Visitor.open(server.http, { outages: true });
    const field = ann.page.getByLabel("Your name");
    await field.fill("Annabella-Maria Bell");
    await field.press("Enter");
    await ann.page.getByText("Name must be at most 16 bytes").waitFor();
    await field.fill("Ann");
    await field.press("Enter");
    await ann.connected();
  });

  test("one that the server sent away for good can connect again", async () => {
    await using server = new InProcessServer();
    await using ann = await Visitor.open(server.http, { name: "Ann" });
    await ann.say("before");
    await ann.sees("before");
    for (const peer of server.roomcast.gateway!.peers)
      peer.terminate(4000, "too many bad frames");
    await ann.page.getByText("Disconnected. ").waitFor();
    await ann.say("meanwhile");
    await ann.page.getByText("Not sent.").waitFor();
    await ann.page.getByRole("button", { name: "Connect again" }).click();
    await ann.connected();
    await ann.page.getByRole("button", { name: "Try again" }).click();
    await ann.sees("meanwhile");
    await ann.say("after");
    await ann.sees("after");
    expect(await ann.texts()).toEqual(["before", "meanwhile", "after"]);
  });

  test("another history of the server is told, and shown", async () => {
    let server = new InProcessServer("--history", "memory");
    await using proxy = await CuttableProxy.start(
      () => server.roomcast.server.port!,
    );
    await using ann = await Visitor.open(proxy.http, {
      name: "Ann",
      outages: true,
    });
    await ann.say("of the first life");
    await ann.sees("of the first life");
    await server.stop();
    server = new InProcessServer("--history", "memory");
    await using _ = server;
    using bob = await Client.connect(server.url, "json", "name=Bob");
    await bob.join("general");
    await bob.say("general", "of the second life");
    await ann.sees("of the second life");
    await ann.page.getByText("another history").waitFor();
    expect(await ann.texts()).toEqual(["of the second life"]);
  });
});
