import { expect, test } from "bun:test";
import { EventStream, MAX_STREAMED } from "../../src/client/event-stream.ts";

test("a consumer that fell behind gets no hole before it is told", async () => {
  const stream = new EventStream<number>();
  for (let item = 0; item <= MAX_STREAMED; item++) stream.push(item);
  const consumer = stream.iterate(() => {});
  const taken = [(await consumer.next()).value];
  // There is room again, but one is lost already.
  stream.push(MAX_STREAMED + 1);
  const rest = (async () => {
    for await (const item of consumer) taken.push(item);
  })();
  const error = await rest.catch((reason) => reason);
  expect(error.code).toBe("fell_behind");
  expect(taken).toEqual(Array.from({ length: MAX_STREAMED }, (_, i) => i));
});
