import { expect, test } from "bun:test";
import { EventStream, MAX_STREAMED } from "../../src/client/event-stream.ts";

/** A stream, and how often it said that it wants nothing more. */
function stream(): { stream: EventStream<number>; done: () => number } {
  let times = 0;
  return { stream: new EventStream<number>(() => times++), done: () => times };
}

const END = { value: undefined, done: true };

test("a consumer that fell behind gets no hole before it is told", async () => {
  const { stream: behind, done } = stream();
  for (let item = 0; item <= MAX_STREAMED; item++) behind.push(item);
  // Nobody listens for it any more, whether or not its consumer ever comes.
  expect(done()).toBe(1);
  const taken = [(await behind.next()).value];
  // There is room again, but one is lost already.
  behind.push(MAX_STREAMED + 1);
  const rest = (async () => {
    for await (const item of behind) taken.push(item);
  })();
  const error = await rest.catch((reason) => reason);
  expect(error.code).toBe("fell_behind");
  expect(taken).toEqual(Array.from({ length: MAX_STREAMED }, (_, i) => i));
});

test("several that wait get items in their order", async () => {
  const { stream: quiet } = stream();
  const waiting = [quiet.next(), quiet.next(), quiet.next()];
  quiet.push(1);
  quiet.push(2);
  quiet.end();
  expect(await Promise.all(waiting)).toEqual([
    { value: 1, done: false },
    { value: 2, done: false },
    END,
  ] as any);
});

test("return() ends a next() that waits", async () => {
  const { stream: quiet, done } = stream();
  const waiting = quiet.next();
  expect(await quiet.return()).toEqual(END as any);
  expect(await waiting).toEqual(END as any);
  expect(done()).toBeGreaterThan(0);
});

test("return() before the first next() wants nothing more, and leaves nothing", async () => {
  const { stream: unread, done } = stream();
  unread.push(1);
  expect(await unread.return()).toEqual(END as any);
  expect(done()).toBeGreaterThan(0);
  unread.push(2);
  expect(await unread.next()).toEqual(END as any);
});

test("return() after an error that nobody saw is no error", async () => {
  const { stream: failed } = stream();
  failed.end(new Error("unseen"));
  expect(await failed.return()).toEqual(END as any);
});

test("leaving the loop is the end", async () => {
  const { stream: left, done } = stream();
  left.push(1);
  left.push(2);
  for await (const item of left) {
    expect(item).toBe(1);
    break;
  }
  expect(done()).toBeGreaterThan(0);
  expect(await left.next()).toEqual(END as any);
});
