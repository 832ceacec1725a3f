import { expect, test } from "bun:test";
import { Channel } from "../../src/threads/channel.ts";
import type { Part } from "../../src/threads/wire.ts";

interface Calls {
  say(text: string): void;
  add(a: number, b?: number): void;
}

const NAMES = ["say", "add"] as const;

/** Two ends; what one posts lies in its list until it is passed on. */
function pair(maxBytes: number) {
  const heard: unknown[][] = [];
  const relieved: number[] = [];
  const posted: { a: Part[][]; b: Part[][] } = { a: [], b: [] };
  const later: (() => void)[] = [];
  const end = (name: "a" | "b"): Channel<Calls, Calls> =>
    new Channel<Calls, Calls>({
      post: (batch) => posted[name].push(batch),
      out: NAMES,
      in: NAMES,
      handlers: {
        say: (...parts) => heard.push([name, "say", ...parts]),
        add: (...parts) => heard.push([name, "add", ...parts]),
      },
      later: (flush) => later.push(flush),
      acknowledged: () => relieved.push(0),
      maxBytes,
      peerMaxBytes: maxBytes,
    });
  const [a, b] = [end("a"), end("b")];
  return {
    a,
    b,
    heard,
    posted,
    relieved,
    /** The end of a turn. */
    turn: () => later.splice(0).forEach((flush) => flush()),
    pass: () => {
      for (const batch of posted.a.splice(0)) b.receive(batch);
      for (const batch of posted.b.splice(0)) a.receive(batch);
    },
  };
}

test("calls of one turn cross in one message, in order, with the parts they have", () => {
  const { a, heard, posted, turn, pass } = pair(1000);
  a.send("say", "x");
  a.send("add", 1, 2);
  a.send("add", 3);
  a.send("say", "");
  expect(posted.a).toEqual([]);
  turn();
  expect(posted.a).toHaveLength(1);
  pass();
  expect(heard).toEqual([
    ["b", "say", "x"],
    ["b", "add", 1, 2],
    ["b", "add", 3],
    ["b", "say", ""],
  ]);
  turn();
  expect(posted.b).toEqual([]);
});

test("it is full once the other end has not taken so many bytes, and relieved when half is taken", () => {
  const { a, b, posted, relieved, turn, pass } = pair(1000);
  const isFull = (): boolean => a.full;
  while (!isFull()) {
    a.send("say", "x".repeat(100));
    turn();
  }
  expect(posted.a.length).toBeWithin(8, 11);
  expect(a.relieved).toBe(false);
  // Taken, but nobody has said so yet.
  const half = posted.a.splice(0, 5);
  for (const batch of half) b.receive(batch);
  expect(isFull()).toBe(true);
  turn();
  expect(posted.b).toHaveLength(1);
  pass();
  expect(relieved).toEqual([0]);
  expect(isFull()).toBe(false);
  turn();
  pass();
  expect(a.relieved).toBe(true);
});

test("a little that was taken is acknowledged only along with something else", () => {
  const { a, b, posted, turn, pass } = pair(10_000);
  a.send("say", "x".repeat(100));
  turn();
  pass();
  turn();
  expect(posted.b).toEqual([]);
  expect(a.pendingBytes).toBeGreaterThan(100);
  b.send("add", 1);
  turn();
  pass();
  expect(a.pendingBytes).toBe(0);
  // The acknowledgement was not itself something to acknowledge without end.
  turn();
  expect([...posted.a, ...posted.b]).toEqual([]);
});

test("bytes count however they are sent; after a close nothing is", () => {
  const { a, posted, turn } = pair(10_000);
  a.send("say", "x".repeat(1000));
  expect(a.pendingBytes).toBeGreaterThan(1000);
  a.close();
  a.send("say", "y");
  turn();
  expect(posted.a).toEqual([]);
});
