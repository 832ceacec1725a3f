import { expect, test, setDefaultTimeout } from "bun:test";
import { BackEnd, KEY } from "../support/api.ts";
import { Client, type Message } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { Application, SECRET } from "./application.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

function serverWith(
  application: Pick<Application, "url">,
  ...flags: string[]
): InProcessServer {
  return new InProcessServer(
    ...["--before-send-url", application.url, "--webhook-secret", SECRET],
    ...["--max-messages-per-second", "0", ...flags],
  );
}

async function joined(server: InProcessServer, room = "a"): Promise<Client> {
  const client = await Client.connect(server.url, "json", "name=Ann");
  await client.join(room);
  return client;
}

test("the application is told who says what where, and silence lets it pass", async () => {
  using application = new Application();
  application.answer = () => new Response(null, { status: 204 });
  await using server = serverWith(application);
  using ann = await joined(server);
  const data = { n: 1 };
  const sent = await ann.say("a", "hi", { id: "k", data });
  expect(sent).toMatchObject({ action: "message_sent", seq: 1, id: "k" });
  expect(application.asked.map(({ body }) => body)).toEqual([
    {
      type: "before_send",
      message: {
        room: "a",
        user: ann.user.id,
        from: "Ann",
        text: "hi",
        id: "k",
        data,
      },
    },
  ]);
  expect(ann.events("a")[0]).toMatchObject({ text: "hi", data });
});

test("what it changes is what is stored and delivered", async () => {
  using application = new Application();
  await using server = serverWith(application);
  using ann = await joined(server);
  application.answer = () => ({ text: "****", data: { rude: true } });
  await ann.say("a", "damn", { data: { n: 1 } });
  application.answer = () => ({ data: null });
  await ann.say("a", "plain", { data: { n: 1 } });
  const { messages } = await ann.request({ action: "get_history", room: "a" });
  expect(messages).toMatchObject([
    { text: "****", data: { rude: true } },
    { text: "plain" },
  ]);
  expect(messages[1]).not.toHaveProperty("data");
  expect(ann.events("a")).toEqual(messages);
});

test("what it refuses is not stored, and the sender reads why", async () => {
  using application = new Application();
  await using server = serverWith(application);
  using ann = await joined(server);
  application.answer = () => ({ refuse: "no links, please" });
  expect(await ann.say("a", "http://x")).toMatchObject({
    action: "error",
    code: "refused",
    message: "no links, please",
  });
  application.answer = () => ({});
  expect(await ann.say("a", "hi")).toMatchObject({ seq: 1 });
});

test.each<[string, () => unknown]>([
  ["an error", () => new Response("no", { status: 500 })],
  ["a redirect", () => Response.redirect("http://127.0.0.1:1/", 307)],
  ["something else than JSON", () => new Response("hello")],
  ["a wrong type", () => ({ text: 7 })],
  ["a list", () => []],
  ["null", () => null],
  ["a text above the limit", () => ({ text: "x".repeat(5000) })],
  ["an endless answer", () => new Response("x".repeat(300_000))],
  ["nothing in time", () => new Promise(() => {})],
])("where it answers %s, closed refuses and open sends", async (_, answer) => {
  using application = new Application();
  application.answer = answer;
  const timeout = ["--before-send-timeout-ms", "100"];
  {
    await using server = serverWith(application, ...timeout);
    using ann = await joined(server);
    const refusal = await ann.say("a", "hi");
    expect(refusal).toMatchObject({ action: "error", code: "unavailable" });
    expect(refusal.retry_after_ms).toBeGreaterThan(0);
    expect(ann.events("a")).toEqual([]);
  }
  await using server = serverWith(
    application,
    ...[...timeout, "--before-send-failure", "open"],
  );
  using ann = await joined(server);
  expect(await ann.say("a", "hi")).toMatchObject({ seq: 1 });
  expect(ann.events("a")).toMatchObject([{ text: "hi" }]);
});

test("messages of a room keep their order, whatever the order of the answers", async () => {
  using application = new Application();
  await using server = serverWith(application);
  using ann = await joined(server);
  const answers: (() => void)[] = [];
  application.answer = () =>
    new Promise((resolve) => answers.push(() => resolve({})));
  const texts = Array.from({ length: 10 }, (_, i) => `${i}`);
  const sent = texts.map((text) => ann.say("a", text));
  await application.until(() => application.asked.length === 10);
  // The last of them first: nothing may be stored before the first.
  for (const answer of answers.toReversed()) answer();
  const seqs = (await Promise.all(sent)).map(({ seq }) => seq);
  expect(seqs).toEqual(texts.map((_, i) => i + 1));
  expect(ann.events("a").map(({ text }) => text)).toEqual(texts);
});

test("what is stored already is acknowledged again, whatever the application says now", async () => {
  using application = new Application();
  await using server = serverWith(application);
  using ann = await joined(server);
  const first = await ann.say("a", "hi", { id: "k" });
  application.answer = () => ({ refuse: "no" });
  const repeated = { seq: first.seq, ts: first.ts, duplicate: true };
  expect(await ann.say("a", "hi", { id: "k" })).toMatchObject(repeated);
  expect(application.asked).toHaveLength(1);
  // Both asked about at a time; the first is let pass.
  const { promise, resolve } = Promise.withResolvers<object>();
  application.answer = () =>
    application.asked.length === 2 ? promise : { refuse: "no" };
  const two = [ann.say("a", "x", { id: "l" }), ann.say("a", "x", { id: "l" })];
  await application.until(() => application.asked.length === 3);
  resolve({});
  const [one, other] = await Promise.all(two);
  expect(one).toMatchObject({ action: "message_sent", seq: 2 });
  expect(other).toMatchObject({ seq: 2, duplicate: true });
});

test.each([
  ["banned", "/bans"],
  ["banned", "/rooms/a/bans"],
  ["muted", "/mutes"],
  ["muted", "/rooms/a/mutes"],
])("what waits when its user is %s by %s is not sent", async (code, path) => {
  using application = new Application();
  await using server = serverWith(application, "--api-key", KEY);
  const back = await BackEnd.at(server.http);
  using ann = await joined(server);
  using bob = await joined(server);
  const { promise, resolve } = Promise.withResolvers<object>();
  application.answer = ({ body }) =>
    body.message.user === ann.user.id ? promise : {};
  const sent = ann.say("a", "spam");
  sent.catch(() => {});
  await application.until(() => application.asked.length === 1);
  await back.post(path, { user: ann.user.id });
  const fromBob = bob.say("a", "hi");
  await application.until(() => application.asked.length === 2);
  resolve({});
  expect(await fromBob).toMatchObject({ seq: 1 });
  expect(bob.events("a").map(({ text }) => text)).toEqual(["hi"]);
  // A ban from everywhere has closed the connection.
  if (path !== "/bans") expect(await sent).toMatchObject({ code });
});

test("a room that waits does not stop others, and its queue has an end", async () => {
  using application = new Application();
  await using server = serverWith(application);
  using ann = await joined(server, "slow");
  await ann.join("fast");
  const { promise, resolve: release } = Promise.withResolvers<object>();
  application.answer = ({ body }) =>
    body.message.room === "slow" ? promise : {};
  const answers: Promise<Message>[] = [];
  // More are refused at once: the first answer is a refusal.
  const refused = new Promise<Message>((resolve) => {
    for (let i = 0; i < 257; i++) {
      const answer = ann.say("slow", `${i}`);
      answers.push(answer);
      answer.then(resolve, () => {});
    }
  });
  expect(await refused).toMatchObject({ action: "error", code: "overloaded" });
  expect(await ann.say("fast", "hi")).toMatchObject({ seq: 1 });
  release({});
  const stored = (await Promise.all(answers)).filter(
    ({ action }) => action === "message_sent",
  );
  expect(stored).toHaveLength(256);
});

test("what waits for the application when the server ends is still stored and acknowledged", async () => {
  using application = new Application();
  const server = serverWith(application, "--drain-grace-ms", "5000");
  using ann = await joined(server);
  let answer: (() => void) | undefined;
  application.answer = () =>
    new Promise((resolve) => {
      answer = () => resolve({});
    });
  const sent = ann.say("a", "hi");
  await application.until(() => application.asked.length === 1);
  const told = ann.nextAction("reconnect");
  const stopped = server.stop();
  await told;
  answer!();
  expect(await sent).toMatchObject({ action: "message_sent", seq: 1 });
  ann.close();
  await stopped;
  await server[Symbol.asyncDispose]();
});
