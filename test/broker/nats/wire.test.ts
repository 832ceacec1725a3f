import {
  Kind,
  type Msg,
  MsgImpl,
  Parser,
  type NatsConnection,
  type ParserEvent,
} from "@nats-io/transport-node";
import { describe, expect, test } from "bun:test";
import { liveStored } from "../../../src/broker/nats/live.ts";
import { toStored, type Stored } from "../../../src/broker/nats/stored.ts";
import { Wire } from "../../../src/broker/nats/wire.ts";
import { Random, testSeed } from "../../support/random.ts";

/** The inside of a client, with its own parser, and what the parser told. */
class Inside {
  readonly told: string[] = [];
  readonly sent: string[] = [];
  readonly protocol = {
    parser: this.newParser(),
    sendCommand: (bytes: Uint8Array) =>
      void this.sent.push(Buffer.from(bytes).toString()),
  };

  newParser(): Parser {
    return new Parser({
      push: ({ kind, msg, data }: ParserEvent) => {
        const text = Buffer.from(data ?? []).toString();
        this.told.push(
          kind === Kind.MSG ? `${msg!.sid} ${text}` : `${kind} ${text}`,
        );
      },
    });
  }

  wire(): Wire {
    return Wire.over({
      protocol: this.protocol,
    } as unknown as NatsConnection)!;
  }

  /** As the client does when bytes came. */
  read(bytes: string | Uint8Array): void {
    this.protocol.parser.parse(Buffer.from(bytes as string));
  }
}

const TAKEN = 7;

const msg = (sid: number, body: string, reply = ""): string =>
  `MSG to.me.42 ${sid} ${reply}${Buffer.byteLength(body)}\r\n${body}\r\n`;

function hmsg(sid: number, headers: string, body: string, reply = ""): string {
  const lengths = `${headers.length} ${headers.length + Buffer.byteLength(body)}`;
  return `HMSG to.me.42 ${sid} ${reply}${lengths}\r\n${headers}${body}\r\n`;
}

describe("what comes over the connection", () => {
  test("gets where it belongs, whole and in order, wherever it is cut", () => {
    const seed = testSeed();
    console.log(`seed ${seed}`);
    const random = new Random(seed);
    for (let round = 0; round < 300; round++) {
      const inside = new Inside();
      const plain = new Inside();
      const taken: string[] = [];
      const expected: string[] = [];
      inside.wire().take(TAKEN, (message) => {
        expect(message.numberFrom("to.me.".length)).toBe(42);
        taken.push(`${message.headers}|${message.body}|${message.length}`);
      });
      let all = "";
      let others = "";
      for (let i = random.below(30); i >= 0; i--) {
        // Line ends in a body, and bytes that are more than a character.
        const body = random.pick([
          "",
          "x",
          "a\r\nMSG b",
          "äöü€😀",
          "y".repeat(500),
        ]);
        const headers = random.pick([
          "NATS/1.0\r\n\r\n",
          "NATS/1.0 503\r\n\r\n",
          "NATS/1.0\r\nA: 1\r\n\r\n",
        ]);
        const reply = random.chance(0.3) ? "reply.to " : "";
        const sid = random.pick([TAKEN, 1, 70]);
        const [one, as] = random.pick([
          [msg(sid, body, reply), `|${body}|${Buffer.byteLength(body)}`],
          [
            hmsg(sid, headers, body, reply),
            `${headers}|${body}|${Buffer.byteLength(body)}`,
          ],
          ["PING\r\n", undefined],
          ["PONG\r\n", undefined],
          ["+OK\r\n", undefined],
          ["-ERR 'no'\r\n", undefined],
          ['INFO {"a":1}\r\n', undefined],
        ] as const);
        all += one;
        if (as !== undefined && sid === TAKEN) expected.push(as);
        else others += one;
      }
      const bytes = Buffer.from(all);
      for (let at = 0; at < bytes.length;) {
        const size = 1 + random.below(random.pick([3, 60, 2000]));
        inside.read(bytes.subarray(at, at + size));
        at += size;
      }
      plain.read(others);
      expect(taken).toEqual(expected);
      expect(inside.told).toEqual(plain.told);
    }
  });

  test("is there with its last byte, and not before", () => {
    const inside = new Inside();
    let taken = 0;
    inside.wire().take(TAKEN, () => void taken++);
    const there = (): number => inside.told.length + taken;
    for (const one of ["PING\r\n", msg(TAKEN, "x"), msg(1, "x")]) {
      const before = there();
      for (let i = 0; i < one.length; i++) {
        expect(there()).toBe(before);
        inside.read(one[i]!);
      }
      expect(there()).toBe(before + 1);
    }
  });

  test("goes to the client again once nobody takes it", () => {
    const inside = new Inside();
    const wire = inside.wire();
    const taken: string[] = [];
    wire.take(TAKEN, ({ body }) => void taken.push(body));
    inside.read(msg(TAKEN, "one"));
    wire.leave(TAKEN);
    inside.read(msg(TAKEN, "two"));
    expect(taken).toEqual(["one"]);
    expect(inside.told).toEqual([`${TAKEN} two`]);
  });

  test("may be in the middle of a line when the client's parser is replaced", () => {
    const inside = new Inside();
    inside.read("INFO ");
    const taken: string[] = [];
    inside.wire().take(TAKEN, ({ body }) => void taken.push(body));
    // It goes on like a message.
    inside.read(`MSG a 1 1\r\n${msg(TAKEN, "one")}`);
    expect(inside.told).toEqual([`${Kind.INFO} MSG a 1 1`]);
    expect(taken).toEqual(["one"]);
  });

  test("begins anew with each connection", () => {
    const inside = new Inside();
    const taken: string[] = [];
    inside.wire().take(TAKEN, ({ body }) => void taken.push(body));
    inside.read(msg(TAKEN, "cut off").slice(0, -4));
    inside.protocol.parser = inside.newParser();
    inside.read(`PING\r\n${msg(TAKEN, "whole")}`);
    expect(taken).toEqual(["whole"]);
    expect(inside.told).toEqual([`${Kind.PING} `]);
  });

  test("is refused as the client refuses it where it makes no sense", () => {
    for (const [line, why] of [
      ["MSG a 1 x", "Bad or Missing Size"],
      ["HMSG a 1 9 4", "Bad or Missing Header Size"],
    ] as const) {
      const inside = new Inside();
      inside.wire();
      expect(() => inside.read(`${line}\r\n`)).toThrow(why);
    }
  });
});

test("what one task publishes is sent together, lengths counted in bytes", async () => {
  const inside = new Inside();
  const wire = inside.wire();
  const headers = "NATS/1.0\r\nA: 1\r\n\r\n";
  wire.publish("one", "to.1", headers, "x", 1);
  wire.publish("two", "to.2", headers, "€😀", 7);
  expect(inside.sent).toEqual([]);
  await Promise.resolve();
  wire.publish("three", "to.3", headers, "", 0);
  await Promise.resolve();
  expect(inside.sent).toEqual([
    `HPUB one to.1 18 19\r\n${headers}x\r\nHPUB two to.2 18 25\r\n${headers}€😀\r\n`,
    `HPUB three to.3 18 18\r\n${headers}\r\n`,
  ]);
});

test("a client that is built otherwise is refused", () => {
  const { parser, sendCommand } = new Inside().protocol;
  for (const protocol of [
    undefined,
    { parser },
    { sendCommand },
    { sendCommand, parser: { parse: parser.parse } },
  ])
    expect(
      Wire.over({ protocol } as unknown as NatsConnection),
    ).toBeUndefined();
});

describe("a live message", () => {
  /** The same bytes, read both ways. */
  function bothWays(headers: string, body: string): (Stored | undefined)[] {
    const inside = new Inside();
    const found: (Stored | undefined)[] = [];
    inside
      .wire()
      .take(TAKEN, (message) => void found.push(liveStored(message)));
    const bytes = hmsg(TAKEN, headers, body);
    inside.read(bytes);
    new Parser({
      push: ({ msg, data }: ParserEvent) =>
        void found.push(
          toStored(new MsgImpl(msg!, data!, null as never) as Msg),
        ),
    }).parse(Buffer.from(bytes));
    expect(found.length).toBe(2);
    return found;
  }

  test("is read as one that was read from the stream", () => {
    const seed = testSeed();
    console.log(`seed ${seed}`);
    const random = new Random(seed);
    for (let i = 0; i < 3000; i++) {
      const seq = 1 + random.below(2 ** 40);
      const prev = random.below(seq);
      // Go writes no zeros at the end, and no dot without digits.
      const fraction = String(random.below(1e9))
        .padStart(9, "0")
        .slice(0, random.below(10))
        .replace(/0+$/, "");
      const at = new Date(random.below(4e9) * 1000).toISOString().slice(0, 19);
      const time = `${at}${fraction && "."}${fraction}${random.pick(["Z", "Z", "+02:00"])}`;
      const lines = [
        "Nats-Stream: s",
        "Nats-Subject: a.b",
        `Nats-Sequence: ${seq}`,
        `Nats-Time-Stamp: ${time}`,
        `Nats-Last-Sequence: ${prev}`,
      ];
      // What a publisher wrote comes first.
      if (random.chance(0.3)) lines.unshift("Nats-Sequence: 5");
      if (random.chance(0.3)) lines.unshift("Nats-Msg-Id: Nats-Sequence: 6");
      if (random.chance(0.3)) lines.unshift(`Nats-Time-Stamp: yesterday`);
      const body = random.pick(["", "{}", "äöü€😀"]);
      const [live, read] = bothWays(
        `NATS/1.0\r\n${lines.join("\r\n")}\r\n\r\n`,
        body,
      );
      const ts = Date.parse(time);
      const bytes = Buffer.byteLength(body);
      expect(live).toEqual({ seq, prev, ts, body, bytes });
      expect(read).toEqual(live);
    }
  });

  test("is none of a stream without the stream's headers", () => {
    for (const line of ["", "Nats-Sequence: 0\r\n", "Nats-Sequence: x\r\n"])
      expect(bothWays(`NATS/1.0\r\n${line}\r\n`, "")).toEqual([
        undefined,
        undefined,
      ]);
  });
});
