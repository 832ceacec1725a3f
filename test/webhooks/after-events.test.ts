import { expect, test, setDefaultTimeout } from "bun:test";
import { AfterEvents } from "../../src/webhooks/after-events.ts";
import { Endpoint } from "../../src/webhooks/endpoint.ts";
import { BackEnd, KEY } from "../support/api.ts";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { Application, SECRET, type Asked } from "./application.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

const HOUR_MS = 3_600_000;

const eventsOf = (asked: readonly Asked[]): any[] =>
  asked.flatMap(({ body }) => body.events);

test("each stored message is told once, as it was stored", async () => {
  using application = new Application();
  await using server = new InProcessServer(
    ...["--webhook-url", application.url, "--webhook-secret", SECRET],
  );
  using ann = await Client.connect(server.url, "json", "name=Ann");
  await ann.join("a");
  const { seq, ts } = await ann.say("a", "hi", { id: "k", data: { n: 1 } });
  expect(await ann.say("a", "hi", { id: "k" })).toMatchObject({
    duplicate: true,
  });
  expect(await ann.say("nowhere", "hi")).toMatchObject({ action: "error" });
  await ann.say("a", "last");
  await application.until(() => eventsOf(application.asked).length >= 2);
  const message = {
    ...{ room: "a", user: ann.user.id, from: "Ann", text: "hi" },
    ...{ seq, ts, id: "k", data: { n: 1 } },
  };
  expect(eventsOf(application.asked)).toEqual([
    { type: "message_sent", message },
    {
      type: "message_sent",
      message: expect.objectContaining({ text: "last", seq: 2 }),
    },
  ]);
});

test("what is not taken is sent again, the same, before anything later", async () => {
  using application = new Application();
  const told: string[] = [];
  const after = new AfterEvents(
    new Endpoint(application.url, SECRET, HOUR_MS),
    (message) => told.push(message),
  );
  application.answer = () =>
    application.asked.length <= 2 ? new Response("", { status: 503 }) : {};
  after.add({ n: 1 });
  after.add({ n: 2 });
  await application.until(() => application.asked.length === 1);
  after.add({ n: 3 });
  await application.until(() => application.asked.length === 4);
  const [first, second, third, fourth] = application.asked;
  expect(first!.body.events).toEqual([{ n: 1 }, { n: 2 }]);
  expect(second).toEqual(first!);
  expect(third).toEqual(first!);
  expect(fourth!.body.events).toEqual([{ n: 3 }]);
  expect(fourth!.id).not.toBe(first!.id);
  expect(told[0]).toContain("503");
  await after.close(HOUR_MS);
});

test("batches are bounded, and so is what waits: the next batch tells how many were dropped", async () => {
  using application = new Application();
  let release: (() => void) | undefined;
  application.answer = () =>
    application.asked.length > 1
      ? {}
      : new Promise((resolve) => {
          release = () => resolve({});
        });
  const told: string[] = [];
  const after = new AfterEvents(
    new Endpoint(application.url, SECRET, HOUR_MS),
    (message) => told.push(message),
  );
  after.add({ n: -1 });
  await application.until(() => application.asked.length === 1);
  for (let n = 0; n < 10_007; n++) after.add({ n });
  // The first is under way.
  expect(after.figures).toMatchObject({ waiting: 10_001, dropped: 7 });
  // Once, not for each.
  expect(told).toHaveLength(1);
  expect(told[0]).toContain("dropped");
  release!();
  await application.until(
    () => eventsOf(application.asked).at(-1)?.n === 10_006,
  );
  const [, second, third] = application.asked;
  expect(second!.body.dropped).toBe(7);
  expect(second!.body.events).toHaveLength(100);
  expect(second!.body.events[0]).toEqual({ n: 7 });
  expect(third!.body.dropped).toBe(0);
  await after.close(HOUR_MS);
  expect(after.figures).toEqual({
    ...{ taken: 101, failed: 0, waiting: 0, dropped: 7 },
  });
  const seen = eventsOf(application.asked).map(({ n }) => n);
  expect(seen).toEqual([
    -1,
    ...Array.from({ length: 10_000 }, (_, i) => i + 7),
  ]);
});

test("what is not taken by the end is told, that of the last request too", async () => {
  using application = new Application();
  application.answer = () => new Response("", { status: 503 });
  const told: string[] = [];
  const after = new AfterEvents(
    new Endpoint(application.url, SECRET, HOUR_MS),
    (message) => told.push(message),
  );
  for (let n = 0; n < 3; n++) after.add({ n });
  await application.until(() => application.asked.length > 0);
  after.add({ n: 3 });
  await after.close(HOUR_MS);
  expect(told.at(-1)).toContain("4 were not taken");
  expect(after.figures.failed).toBe(application.asked.length);
});

test("a deleted message is told of, also when it is deleted again", async () => {
  using application = new Application();
  await using server = new InProcessServer(
    ...["--webhook-url", application.url, "--webhook-secret", SECRET],
    ...["--api-key", KEY],
  );
  const back = await BackEnd.at(server.http);
  using ann = await Client.connect(server.url);
  await ann.join("a");
  const { seq } = await ann.say("a", "oops");
  expect((await back.delete(`/rooms/a/messages/${seq + 9}`)).status).toBe(404);
  for (let i = 0; i < 2; i++)
    expect((await back.delete(`/rooms/a/messages/${seq}`)).status).toBe(204);
  await application.until(() => eventsOf(application.asked).length >= 3);
  const deleted = {
    type: "message_deleted",
    message: { room: "a", target: seq },
  };
  expect(eventsOf(application.asked).slice(1)).toEqual([deleted, deleted]);
});

test("the end of the server sends what waits", async () => {
  using application = new Application();
  const server = new InProcessServer(
    ...["--webhook-url", application.url, "--webhook-secret", SECRET],
  );
  using ann = await Client.connect(server.url);
  await ann.join("a");
  await ann.say("a", "bye");
  await server[Symbol.asyncDispose]();
  expect(eventsOf(application.asked)).toMatchObject([
    { message: { text: "bye" } },
  ]);
});
