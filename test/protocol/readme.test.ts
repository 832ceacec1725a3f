import { describe, expect, test, setDefaultTimeout } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  CLOSE_CODES,
  ERROR_CODES,
  FINAL_CLOSE_CODES,
} from "../../src/protocol/errors.ts";
import { CLIENT_MESSAGES } from "../../src/protocol/messages.ts";
import { Client, type Format, type Message } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

const readme = readFileSync(
  join(import.meta.dir, "../../src/protocol/README.md"),
  "utf8",
);

interface Line {
  readonly who: string;
  readonly sends: boolean;
  readonly content: string;
}

const conversations = [
  ...readme.matchAll(/```conversation(.*)\n([\s\S]*?)```/g),
].map(([, formats, body]) => ({
  formats: new Map(
    formats!
      .trim()
      .split(" ")
      .filter(Boolean)
      .map((pair) => pair.split("=") as [string, Format]),
  ),
  lines: body!
    .trim()
    .split("\n")
    .map((line): Line => {
      const [, who, arrow, content] = /^(\w+) ([→←]) (.*)$/.exec(line)!;
      return { who: who!, sends: arrow === "→", content: content! };
    }),
}));

/** Keys whose values differ from run to run; their types must agree. */
const VOLATILE = new Set(["ts", "epoch", "connection", "session", "user_id"]);

/** Replaces what differs from run to run by its type, and takes the epoch that the conversation calls E1 for the real. */
function settle(value: unknown, key = ""): unknown {
  if (Array.isArray(value)) return value.map((item) => settle(item));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [
        name,
        settle(item, name === "user" || name === "id" ? "user_id" : name),
      ]),
    );
  if (key === "user_id")
    return typeof value === "string" && value.startsWith("guest:")
      ? "a guest"
      : value;
  return VOLATILE.has(key) ? typeof value : value;
}

describe("the conversations of the wire contract's page", () => {
  test("there are some", () => expect(conversations.length).toBeGreaterThan(5));

  test.each(
    conversations.map((c) => [c.lines[0]!.content.slice(0, 60), c] as const),
  )(
    "are what happens: %s",
    async (_, { formats, lines }) => {
      await using server = new InProcessServer();
      const clients = new Map<string, Client>();
      let epoch = "";
      try {
        for (const [index, { who, sends, content }] of lines.entries()) {
          let client = clients.get(who);
          if (!client) {
            const format = formats.get(who) ?? "json";
            client = await Client.connect(server.url, format, `name=${who}`);
            clients.set(who, client);
            const first = client.received[0]!;
            if (!sends && index === 0) {
              expect(format === "text" ? first.line : settle(first)).toEqual(
                format === "text" ? content : settle(JSON.parse(content)),
              );
              continue;
            }
          }
          if (client.format === "text") {
            if (sends) client.send(content);
            else expect((await client.next(() => true)).line).toBe(content);
            continue;
          }
          if (sends) {
            client.send(content.replaceAll('"E1"', JSON.stringify(epoch)));
            continue;
          }
          const expected = settle(JSON.parse(content)) as Message;
          // What the conversation does not show (presence, own copies) is passed over.
          const got = await client.next((m) => {
            epoch = m.epoch ?? epoch;
            return Bun.deepEquals(settle(m), expected);
          });
          expect(settle(got)).toEqual(expected);
        }
      } finally {
        for (const client of clients.values()) client.close();
      }
    },
    // A frame that never comes is a failure, not a wait.
    10_000,
  );
});

describe("the tables of the wire contract's page", () => {
  const rows = (heading: string): string[][] => {
    const section = readme.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
    return section
      .split("\n")
      .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
      .slice(1)
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim().replaceAll("`", "")),
      );
  };

  test("hold every error code with its meaning", () => {
    expect(rows("Errors")).toEqual(
      Object.entries(ERROR_CODES).map(([code, meaning]) => [code, meaning]),
    );
  });

  test("hold every close code, with whether to reconnect", () => {
    expect(rows("Closing")).toEqual(
      Object.entries(CLOSE_CODES).map(([code, rule]) => [
        code,
        rule.meaning,
        rule.reconnect ? "yes" : "no",
      ]),
    );
  });

  test("know the same final close codes as clients", () => {
    const final = Object.entries(CLOSE_CODES).filter(
      ([, { reconnect }]) => !reconnect,
    );
    expect(final.map(([code]) => Number(code))).toEqual([...FINAL_CLOSE_CODES]);
  });

  test("hold every action of clients", () => {
    expect(rows("Rooms, messages, acks").map((row) => row[0]!)).toEqual(
      Object.keys(CLIENT_MESSAGES),
    );
  });
});
