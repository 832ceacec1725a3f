import { encode } from "@msgpack/msgpack";
import {
  afterAll,
  beforeAll,
  describe,
  expect,
  test,
  setDefaultTimeout,
} from "bun:test";
import fc from "fast-check";
import { CLOSE_CODES, ERROR_CODES } from "../../src/protocol/errors.ts";
import { Client, type Format, type Message } from "../support/client.ts";
import { InProcessServer, THREADS } from "../support/server.ts";
import { range, received } from "./helpers.ts";
import { OPCODE, RawSocket, refusal, shake } from "./raw-socket.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/**
 * Bad input of every kind, on a live server. Each attack has an answer or a documented end, and harms nobody else:
 * members of the attacked room receive only what the contract allows, others receive nothing of it at all.
 */

let server: InProcessServer;
let bystanders: Bystanders;
let witnesses: Witnesses;

beforeAll(async () => {
  server = new InProcessServer(
    "--max-messages-per-second",
    "0",
    "--max-requests-per-second",
    "0",
    "--max-connections-per-address",
    "0",
    "--max-idle-rooms",
    "100",
  );
  bystanders = await Bystanders.meet();
  witnesses = await Witnesses.watch();
});
afterAll(() => server.stop());

const ATTACKED = "attacked";
/** No attack may know it: whoever knows a room may join it. */
const QUIET = "a quiet corner";

/** Three clients, one of each format, who talk in a room of their own. */
class Bystanders {
  #said = 0;
  /** Messages of each that were looked at. */
  readonly #seen: number[];

  private constructor(private readonly clients: readonly Client[]) {
    this.#seen = clients.map((client) => client.received.length);
  }

  static async meet(): Promise<Bystanders> {
    const clients = await connectAll(QUIET, "bystander");
    return new Bystanders(clients);
  }

  /** Holds a bit of conversation. @throws somebody did not get it, or got anything else */
  async talk(): Promise<void> {
    const text = `still here ${++this.#said}`;
    const [json, msgpack, line] = this.clients as [Client, Client, Client];
    const heard = Promise.all([
      msgpack.next((m) => m.text === text),
      line.next((m) => m.line === `[bystander]: ${text}`),
    ]);
    const ack = await json.say(QUIET, text);
    await heard;
    const fresh = this.clients.map((client, i) => {
      const messages = client.received.slice(this.#seen[i]);
      this.#seen[i] = client.received.length;
      return messages;
    });
    const event = {
      action: "receive_message",
      room: QUIET,
      seq: this.#said,
      from: "bystander",
      user: json.user.id,
      text,
      ts: ack.ts,
    };
    expect(fresh).toEqual([
      [event, ack],
      [event],
      [{ line: `[bystander]: ${text}` }],
    ]);
    expect(ack.seq).toBe(this.#said);
  }
}

/** Three clients in the attacked room. */
class Witnesses {
  #said = 0;
  #position = 0;
  readonly #seen = [0, 0, 0];

  private constructor(private readonly clients: readonly Client[]) {}

  static async watch(): Promise<Witnesses> {
    return new Witnesses(await connectAll(ATTACKED, "witness"));
  }

  /**
   * Looks at everything received up to a message of its own. What comes behind that (of an attack that took longer to
   * reach the log, from another thread) need not have reached everybody yet: the next check looks at it.
   * @throws it is not what the contract allows, or not the same for all
   */
  async check(): Promise<void> {
    const text = `seen so far ${++this.#said}`;
    const isLast = (m: Message): boolean =>
      m.text === text || m.line === `[witness]: ${text}`;
    const heard = this.clients.map((client) => client.next(isLast));
    await Promise.all([this.clients[0]!.say(ATTACKED, text), ...heard]);
    const [json, msgpack, lines] = this.clients.map((client, i) => {
      const fresh = client.received.slice(this.#seen[i]);
      const looked = fresh.slice(0, fresh.findIndex(isLast) + 1);
      this.#seen[i]! += looked.length;
      return looked;
    }) as [Message[], Message[], Message[]];
    const events = (messages: Message[]) =>
      messages.filter((m) => m.action === "receive_message");
    for (const message of [...json, ...msgpack]) expectAllowed(message);
    for (const message of events(json)) {
      expect(message.room).toBe(ATTACKED);
      expect(message.seq).toBe(++this.#position);
    }
    expect(events(msgpack)).toEqual(events(json));
    const shown = lines.filter((m) => m.line.startsWith("["));
    expect(shown).toHaveLength(events(json).length);
    for (const { line } of lines) {
      expect(line.isWellFormed()).toBe(true);
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    }
  }
}

async function connectAll(room: string, name: string): Promise<Client[]> {
  const clients: Client[] = [];
  for (const format of ["json", "msgpack", "text"] as const)
    clients.push(
      await Client.connect(server.url, format, `room=${room}&name=${name}`),
    );
  const all = (m: Message): boolean =>
    m.action === "members_changed" && m.count === clients.length;
  await Promise.all(clients.slice(0, 2).map((client) => client.next(all)));
  return clients;
}

const UNASKED = ["receive_message", "members_changed", "typing"];
const ANSWERS = [
  "welcome",
  "room_joined",
  "room_left",
  "message_sent",
  "history",
  "members",
  "error",
  "pong",
];

/** @throws the message is none of the contract's */
function expectAllowed(message: Message): void {
  expect([...UNASKED, ...ANSWERS]).toContain(message.action);
  expectWellFormed(message);
  if (message.action === "error") {
    expect(Object.keys(ERROR_CODES)).toContain(message.code);
    expect(message.message).toBeString();
    expect(message.message.length).toBeWithin(1, 400);
  }
  if (message.action !== "receive_message") return;
  expect(message.seq).toBeInteger();
  for (const field of ["room", "from", "user", "text"])
    expect(message[field]).toBeString();
  if ("id" in message) expect(message.id).toBeString();
  if ("data" in message) expect(message.data).toBeObject();
}

function expectWellFormed(value: unknown): void {
  if (typeof value === "string") expect(value.isWellFormed()).toBe(true);
  else if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value)) {
      expect(key.isWellFormed()).toBe(true);
      expectWellFormed(inner);
    }
}

/** A connection that attacks, and comes back when it was closed for it. */
class Attacker implements Disposable {
  #client: Client | undefined;
  #ref = 3_000_000_000;

  constructor(
    readonly format: Format,
    private readonly room = "",
  ) {}

  async client(): Promise<Client> {
    if (this.#client?.socket.readyState === WebSocket.OPEN) return this.#client;
    this.#client = await Client.connect(
      server.url,
      this.format,
      `room=${this.room}`,
    );
    if (this.room !== "" && this.format !== "text")
      await this.#client.nextAction("room_joined");
    return this.#client;
  }

  /**
   * Sends a frame, and waits until it has had its effect.
   * @returns the answers to it, or the code the connection was closed with
   */
  async attack(frame: string | Uint8Array): Promise<Message[] | number> {
    const client = await this.client();
    const mark = client.received.length;
    client.socket.send(frame);
    if (this.format === "text") {
      const help = client.nextLine("A line is a message");
      client.send("/help");
      const end = await Promise.race([help, client.closed]);
      return "code" in end ? end.code : client.received.slice(mark, -1);
    }
    const ref = ++this.#ref;
    const pong = client.next((m) => m.action === "pong" && m.ref === ref);
    client.send({ action: "ping", ref });
    const end = await Promise.race([pong, client.closed]);
    if (!("action" in end)) return end.code;
    const answers = (): Message[] =>
      client.received
        .slice(mark)
        .filter((m) => m !== end && !UNASKED.includes(m.action));
    return answers();
  }

  /** The same, where a stored message's ack may come after the next frame's answer. */
  async attackAndAwait(frame: string | Uint8Array): Promise<Message | number> {
    const client = await this.client();
    const answered = client.next((m) => !UNASKED.includes(m.action));
    client.socket.send(frame);
    const end = await Promise.race([answered, client.closed]);
    return "action" in end ? end : (end.code as number);
  }

  frame(message: unknown): string | Uint8Array {
    return this.format === "msgpack"
      ? encode(message, { ignoreUndefined: true, maxDepth: 10_000 })
      : JSON.stringify(message);
  }

  [Symbol.dispose](): void {
    this.#client?.close();
  }
}

/** @throws neither an answer nor a documented close */
function expectAnswered(outcome: Message[] | Message | number): void {
  if (typeof outcome === "number") {
    expect(Object.keys(CLOSE_CODES)).toContain(String(outcome));
    return;
  }
  const answers = Array.isArray(outcome) ? outcome : [outcome];
  expect(answers).toHaveLength(1);
  for (const answer of answers) expectAllowed(answer);
}

async function nobodyNoticed(): Promise<void> {
  await witnesses.check();
  await bystanders.talk();
}

const RUNS = { numRuns: 300 };

const keys = fc.oneof(
  fc.constantFrom(
    "action",
    "room",
    "text",
    "id",
    "data",
    "ref",
    "since",
    "seq",
    "__proto__",
    "constructor",
    "toString",
  ),
  fc.string({ unit: "binary" }),
);
const strings = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("", ATTACKED, "\ud800", "\u0000", "🦉", "__proto__"),
);
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    strings,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.constantFrom(0, 1, -1, 2 ** 32, 2 ** 53, 1e300, true, false, null),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(keys, tie("value"), { maxKeys: 6, noNullPrototype: true }),
  ),
})).value;

const requests: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    action: fc.constant("join_room"),
    room: fc.constant(ATTACKED),
    since: fc.record({ epoch: fc.string(), seq: fc.nat() }),
    history: fc.nat(20),
    echo: fc.boolean(),
  }),
  fc.record({
    action: fc.constant("send_message"),
    room: fc.constant(ATTACKED),
    text: fc.string({ unit: "binary" }),
    id: fc.string({ minLength: 1, maxLength: 10 }),
    data: fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
  }),
  fc.record({
    action: fc.constant("get_history"),
    room: fc.constant(ATTACKED),
    before: fc.nat(),
    limit: fc.integer({ min: 1 }),
  }),
  fc.record({
    action: fc.constantFrom("get_members", "leave_room", "ping"),
    room: fc.constant(ATTACKED),
  }),
);

/** A request with some fields replaced, taken away or added. */
const mutated: fc.Arbitrary<Message> = fc
  .tuple(
    requests,
    fc.array(fc.tuple(keys, fc.option(json, { nil: undefined })), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([request, changes]) => {
    const changed: Message = { ...request };
    for (const [key, value] of changes)
      Object.defineProperty(changed, key, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    return changed;
  });

describe.each(["json", "msgpack"] as const)("in %s", (format) => {
  test("any value is answered, and harms nobody", async () => {
    using attacker = new Attacker(format);
    await fc.assert(
      fc.asyncProperty(json, async (value) => {
        expectAnswered(await attacker.attack(attacker.frame(value)));
        await nobodyNoticed();
      }),
      RUNS,
    );
  });

  test("any change of a valid request is answered, and harms nobody", async () => {
    using attacker = new Attacker(format, ATTACKED);
    await fc.assert(
      fc.asyncProperty(mutated, async (request) => {
        await (await attacker.client()).join(ATTACKED);
        const frame = attacker.frame(request);
        expectAnswered(await attacker.attackAndAwait(frame));
        await nobodyNoticed();
      }),
      RUNS,
    );
  });

  test("any change of a valid request's bytes is answered, and harms nobody", async () => {
    using attacker = new Attacker(format, ATTACKED);
    const edits = fc.array(
      fc.record({
        at: fc.nat(),
        remove: fc.nat(4),
        insert: fc.uint8Array({ maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(requests, edits, async (request, changes) => {
        await (await attacker.client()).join(ATTACKED);
        let bytes = Buffer.from(attacker.frame(request) as string);
        for (const { at, remove, insert } of changes) {
          const place = at % (bytes.length + 1);
          bytes = Buffer.concat([
            bytes.subarray(0, place),
            insert,
            bytes.subarray(place + remove),
          ]);
        }
        expectAnswered(
          await attacker.attackAndAwait(
            format === "json" ? bytes.toString("latin1") : bytes,
          ),
        );
        await nobodyNoticed();
      }),
      RUNS,
    );
  });
});

describe.each(["json", "msgpack", "text"] as const)("in %s", (format) => {
  test("any bytes are answered, and harm nobody", async () => {
    using attacker = new Attacker(format);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const outcome = await attacker.attack(bytes);
        expectAnswered(
          format === "text" && typeof outcome !== "number"
            ? outcome.map(asError)
            : outcome,
        );
        await nobodyNoticed();
      }),
      RUNS,
    );
  });

  test("any text is answered, and harms nobody", async () => {
    using attacker = new Attacker(format, ATTACKED);
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary", maxLength: 100 }),
        async (line) => {
          const outcome = await attacker.attack(line);
          // In text most lines are messages: the witnesses look at them.
          if (format !== "text") expectAnswered(outcome);
          await nobodyNoticed();
        },
      ),
      RUNS,
    );
  });
});

/** An error of the text format, as the other formats would have it. */
function asError({ line }: Message): Message {
  expect(line).toStartWith("! ");
  return { action: "error", code: "bad_frame", message: line };
}

/** Sends one frame from a fresh connection in the attacked room. @returns its answer's code */
async function codeOf(
  format: Format,
  frame: string | Uint8Array,
): Promise<string | number> {
  using attacker = new Attacker(format, ATTACKED);
  const outcome = await attacker.attackAndAwait(frame);
  expectAnswered(outcome);
  await nobodyNoticed();
  return typeof outcome === "number" ? outcome : (outcome.code ?? "accepted");
}

const message = (fields: string): string =>
  `{"action":"send_message","room":"${ATTACKED}","text":"x",${fields}}`;
const nested = (depth: number, open: string, close: string): string =>
  open.repeat(depth) + close.repeat(depth);
const nestedData = (depth: number): string =>
  message(`"data":${'{"a":'.repeat(depth - 1)}{}${"}".repeat(depth - 1)}`);

test.each<[string, string, string]>([
  ["nothing", "", "bad_frame"],
  ["an open bracket, 60,000 times", "[".repeat(60_000), "bad_frame"],
  ["a list, 30,000 deep", nested(30_000, "[", "]"), "bad_frame"],
  [
    "an object, 10,000 deep",
    nested(10_000, '{"a":', "}").replace(":}", ":1}"),
    "invalid_field",
  ],
  [
    "a request inside of 10,000 lists",
    `{"action":"ping","x":${nested(10_000, "[", "]")}}`,
    "accepted",
  ],
  [
    "since, 5,000 deep",
    `{"action":"join_room","room":"r","since":${nested(5_000, "[", "]")}}`,
    "invalid_field",
  ],
  ["data, 32 deep", nestedData(32), "accepted"],
  ["data, 33 deep", nestedData(33), "invalid_field"],
  ["data, 10,000 deep", nestedData(10_000), "invalid_field"],
  [
    "a lone surrogate as room",
    '{"action":"join_room","room":"\\ud800"}',
    "invalid_field",
  ],
  ["a lone surrogate as text", message('"text":"a\\udc00b"'), "invalid_field"],
  ["a lone surrogate as id", message('"id":"\\ud83e"'), "invalid_field"],
  [
    "a lone surrogate in data",
    message('"data":{"a":["\\ud83e"]}'),
    "invalid_field",
  ],
  [
    "a lone surrogate as a key of data",
    message('"data":{"a":{"\\udd89":1}}'),
    "invalid_field",
  ],
  ["a lone surrogate as action", '{"action":"\\ud800"}', "unknown_action"],
  [
    "a lone surrogate where nobody is",
    '{"action":"get_members","room":"\\ud800"}',
    "invalid_field",
  ],
  ["a whole surrogate pair", message('"text":"\\ud83e\\udd89"'), "accepted"],
  [
    "__proto__ in data",
    message('"data":{"__proto__":{"polluted":1}}'),
    "invalid_field",
  ],
  [
    "__proto__ deep in data",
    message('"data":{"a":[{"__proto__":null}]}'),
    "invalid_field",
  ],
  [
    "constructor in data",
    message('"data":{"constructor":{"prototype":{"polluted":1}}}'),
    "accepted",
  ],
  [
    "__proto__ beside the action",
    '{"action":"ping","__proto__":{"polluted":1}}',
    "accepted",
  ],
  [
    "an action in __proto__",
    '{"__proto__":{"action":"ping"}}',
    "invalid_field",
  ],
  ["__proto__ as action", '{"action":"__proto__"}', "unknown_action"],
  ["constructor as action", '{"action":"constructor"}', "unknown_action"],
  [
    "__proto__ as since",
    '{"action":"join_room","room":"r","since":{"__proto__":{"epoch":"e","seq":1}}}',
    "invalid_field",
  ],
  ["a number beyond all", message('"data":{"n":1e999}'), "invalid_field"],
  ["a byte order mark", '\ufeff{"action":"ping"}', "bad_frame"],
  ["two objects", '{"action":"ping"}{"action":"ping"}', "bad_frame"],
  [
    "a very long action",
    `{"action":"${"x".repeat(60_000)}"}`,
    "unknown_action",
  ],
  [
    "a very long key of data",
    message(`"data":{"${"🦉".repeat(1000)}":{"b":"\\ud800"}}`),
    "invalid_field",
  ],
  [
    "a very long room",
    `{"action":"join_room","room":"${"x".repeat(60_000)}"}`,
    "invalid_field",
  ],
  ["keys given twice", '{"action":"dance","action":"ping"}', "accepted"],
])("JSON: %s", async (_, frame, code) => {
  expect(await codeOf("json", frame)).toBe(code);
  expect(({} as Message).polluted).toBeUndefined();
});

const bytes = (...parts: (number | string | Uint8Array)[]): Uint8Array =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === "number" ? Uint8Array.of(part) : Buffer.from(part),
    ),
  );
/** A string of less than 32 bytes. */
const str = (text: string): Uint8Array => encode(text);
/** `send_message` with one more field, whose value is given as bytes. */
const packed = (field: string, ...value: (number | Uint8Array)[]): Uint8Array =>
  bytes(
    0x84,
    str("action"),
    str("send_message"),
    str("room"),
    str(ATTACKED),
    str("text"),
    str("x"),
    str(field),
    ...value,
  );

test.each<[string, Uint8Array, string]>([
  ["nothing", bytes(), "bad_frame"],
  ["a list of 4 G items", bytes(0xdd, 0xff, 0xff, 0xff, 0xff), "bad_frame"],
  ["a map of 4 G items", bytes(0xdf, 0xff, 0xff, 0xff, 0xff), "bad_frame"],
  ["a string of 4 GB", bytes(0xdb, 0xff, 0xff, 0xff, 0xff, 0x41), "bad_frame"],
  ["bytes of 4 GB", bytes(0xc6, 0xff, 0xff, 0xff, 0xff, 0x41), "bad_frame"],
  [
    "lists of 65,535 items in one another",
    bytes(...Array(20_000).fill(bytes(0xdc, 0xff, 0xff))),
    "bad_frame",
  ],
  ["lists, 60,000 deep", bytes(Buffer.alloc(60_000, 0x91), 0xc0), "bad_frame"],
  [
    "maps, 10,000 deep",
    bytes(Buffer.from("81a161".repeat(10_000), "hex"), 0xc0),
    "bad_frame",
  ],
  [
    "a list of 4 G items in data",
    packed("data", 0x81, str("a"), bytes(0xdd, 0xff, 0xff, 0xff, 0xff)),
    "bad_frame",
  ],
  ["a fixed extension", bytes(0xd4, 1, 0), "bad_frame"],
  [
    "an extension in data",
    packed("data", 0x81, str("a"), bytes(0xc7, 3, 5, 1, 2, 3)),
    "bad_frame",
  ],
  [
    "a time in data",
    packed("data", 0x81, str("a"), bytes(0xd6, 0xff, 0, 0, 0, 1)),
    "bad_frame",
  ],
  ["an extension of 4 GB", bytes(0xc9, 0xff, 0xff, 0xff, 0xff, 1), "bad_frame"],
  ["the unused type", bytes(0xc1), "bad_frame"],
  ["a number as a key", bytes(0x81, 0x01, 0x02), "bad_frame"],
  ["nil as a key", bytes(0x81, 0xc0, 0x02), "bad_frame"],
  ["a key __proto__", bytes(0x81, str("__proto__"), 0x80), "bad_frame"],
  [
    "a key __proto__ in data",
    packed("data", 0x81, str("__proto__"), 0x80),
    "bad_frame",
  ],
  [
    "bytes after the value",
    bytes(encode({ action: "ping" }), 0xc0),
    "bad_frame",
  ],
  ["half a value", encode({ action: "ping" }).subarray(0, -1), "bad_frame"],
  ["JSON", bytes('{"action":"ping"}'), "bad_frame"],
  ["bytes as text", packed("text", 0xc4, 1, 0x41), "invalid_field"],
  ["bytes as data", packed("data", bytes(0xc4, 1, 0x41)), "invalid_field"],
  [
    "bytes in data",
    packed("data", 0x81, str("a"), bytes(0xc4, 1, 0x41)),
    "invalid_field",
  ],
  [
    "not a number in data",
    packed("data", 0x81, str("a"), bytes(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0)),
    "invalid_field",
  ],
  [
    "infinity in data",
    packed("data", 0x81, str("a"), bytes(0xca, 0x7f, 0x80, 0, 0)),
    "invalid_field",
  ],
  [
    "not a number as ref",
    packed("ref", bytes(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0)),
    "invalid_field",
  ],
  [
    "a number of 64 bits as ref",
    packed("ref", bytes(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
    "invalid_field",
  ],
  [
    "a lone surrogate as text",
    packed("text", bytes(0xa3, 0xed, 0xa0, 0x80)),
    "bad_frame",
  ],
  [
    "a text that is not UTF-8",
    packed("text", bytes(0xa2, 0xff, 0xfe)),
    "bad_frame",
  ],
  [
    "half a character as text",
    packed("text", bytes(0xa3, 0x61, 0xf0, 0x9f)),
    "bad_frame",
  ],
  [
    "an overlong character as text",
    packed("text", bytes(0xa2, 0xc0, 0x80)),
    "bad_frame",
  ],
  [
    "a long text that is not UTF-8",
    packed("text", bytes(0xd9, 220, Buffer.alloc(219, 0x61), 0xff)),
    "bad_frame",
  ],
  [
    "a key of data that is not UTF-8",
    packed("data", bytes(0x81, 0xa1, 0x80, 0xc0)),
    "bad_frame",
  ],
  ["a whole character as text", packed("text", bytes(0xa4, "🦉")), "accepted"],
  ["data, 32 deep", encode(JSON.parse(nestedData(32))), "accepted"],
  ["data, 33 deep", encode(JSON.parse(nestedData(33))), "invalid_field"],
])("MessagePack: %s", async (_, frame, code) => {
  expect(await codeOf("msgpack", frame)).toBe(code);
});

test("rooms of any allowed name are rooms like others", async () => {
  // Of its own: random frames that went before may have named them.
  await using fresh = await InProcessServer.start();
  using bystander = await Client.connect(fresh.url);
  await bystander.join(QUIET);
  for (const room of [
    "__proto__",
    "constructor",
    "toString",
    `${QUIET}#0/json`,
    `${QUIET} `,
    QUIET.toUpperCase(),
    `../${QUIET}`,
    "'; DROP TABLE log; --",
    "%00",
    `\u202e${QUIET}`,
    `a\u0301${QUIET.slice(1)}`,
  ]) {
    using bob = await Client.connect(fresh.url);
    using ann = await Client.connect(fresh.url, "msgpack");
    expect(await bob.join(room)).toMatchObject({ room, seq: 0, count: 1 });
    await ann.join(room);
    const heard = ann.nextAction("receive_message");
    await bob.say(room, room);
    expect(await heard).toMatchObject({ room, seq: 1, text: room });
  }
  expect(bystander.events(QUIET)).toEqual([]);
  expect(await bystander.say(QUIET, "still here")).toMatchObject({ seq: 1 });
});

test("control characters in rooms and names are refused, everywhere", async () => {
  const controls = [
    ...range(0, 0x1f),
    ...range(0x7f, 0x9f),
    0x2028,
    0x2029,
  ].map((code) => String.fromCharCode(code));
  using json = new Attacker("json");
  using msgpack = new Attacker("msgpack");
  for (const control of controls) {
    const name = `by${control}stander`;
    for (const attacker of [json, msgpack])
      expect(await (await attacker.client()).join(name)).toMatchObject({
        code: "invalid_field",
      });
    for (const field of ["room", "name"])
      expect(
        await refusal(server.roomcast.server.port!, {
          path: `/chat?${field}=${encodeURIComponent(name)}`,
        }),
      ).toMatchObject({ status: 400, code: "invalid_field" });
  }
  await nobodyNoticed();
});

test("thousands of rooms are no harm, and leave memory", async () => {
  await using many = new InProcessServer(
    "--max-rooms-per-connection",
    "0",
    "--max-requests-per-second",
    "0",
    "--max-messages-per-second",
    "0",
    // Each thread has its share.
    "--max-idle-rooms",
    String(50 * THREADS),
  );
  using bob = await Client.connect(many.url, "json", "room=quiet");
  using eve = await Client.connect(many.url, "msgpack");
  await bob.nextAction("room_joined");
  const rooms = async (): Promise<number> => (await many.inMemory()).rooms;
  for (let i = 0; i < 3000; i++) {
    eve.send({ action: "join_room", room: `left ${i}` });
    eve.send({ action: "leave_room", room: `left ${i}` });
  }
  await eve.request({ action: "ping" });
  expect(received(eve, "room_left")).toHaveLength(3000);
  expect(await rooms()).toBeLessThanOrEqual(51);
  const joins = Array.from({ length: 3000 }, (_, i) => eve.join(`kept ${i}`));
  for (const joined of await Promise.all(joins))
    expect(joined.action).toBe("room_joined");
  expect(await rooms()).toBeGreaterThan(3000);
  expect((await eve.say("kept 2999", "hi")).seq).toBe(1);
  expect((await bob.say("quiet", "hi")).seq).toBe(1);
  eve.close();
  await eve.closed;
  while ((await rooms()) > 51) await Bun.sleep(5);
  expect(await bob.say("quiet", "still here")).toMatchObject({ seq: 2 });
});

describe("below the frames", () => {
  const port = (): number => server.roomcast.server.port!;

  test.each<[string, Uint8Array, number[]]>([
    [
      "a text frame that is not UTF-8",
      bytes(0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe),
      [1007],
    ],
    [
      "half a character at the end",
      bytes(0x81, 0x83, 0, 0, 0, 0, 0x22, 0xf0, 0x9f),
      [1007],
    ],
    [
      "a surrogate in UTF-8",
      bytes(0x81, 0x83, 0, 0, 0, 0, 0xed, 0xa0, 0x80),
      [1007],
    ],
    [
      "an overlong character",
      bytes(0x81, 0x82, 0, 0, 0, 0, 0xc0, 0x80),
      [1007],
    ],
    [
      "a frame of 8 EB",
      bytes(
        0x81,
        0xff,
        0x7f,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0,
        0,
        0,
        0,
      ),
      [1009, 1006],
    ],
    [
      "a frame of negative length",
      bytes(
        0x81,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0,
        0,
        0,
        0,
      ),
      [1009, 1006],
    ],
    ["a reserved opcode", bytes(0x83, 0x80, 0, 0, 0, 0), [1002, 1006]],
    ["a reserved bit", bytes(0xc1, 0x80, 0, 0, 0, 0), [1002, 1006]],
    [
      "a long ping",
      bytes(0x89, 0xfe, 0, 200, 0, 0, 0, 0, Buffer.alloc(200)),
      [1002, 1006],
    ],
    ["a ping in fragments", bytes(0x09, 0x80, 0, 0, 0, 0), [1002, 1006]],
    ["a continuation of nothing", bytes(0x80, 0x80, 0, 0, 0, 0), [1002, 1006]],
    [
      "HTTP once more",
      bytes("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
      [1002, 1006, 1009],
    ],
  ])("%s ends the connection", async (_, sent, codes) => {
    using raw = await RawSocket.connect(port(), {
      path: `/chat?room=${ATTACKED}`,
    });
    await raw.received(2);
    raw.socket.write(sent);
    await raw.ended;
    expect(codes).toContain(raw.closeCode ?? 1006);
    await nobodyNoticed();
  });

  test("a message in fragments is one message, with a ping between them", async () => {
    using raw = await RawSocket.connect(port(), {
      path: `/chat?room=${ATTACKED}`,
    });
    const owl = Buffer.from(`{"action":"ping","x":"🦉","ref":7}`);
    raw.send(OPCODE.text, owl.subarray(0, 23), { fin: false });
    raw.send(OPCODE.ping, "?");
    raw.send(OPCODE.continuation, owl.subarray(23));
    while (!raw.messages().some((m) => m.action === "pong"))
      await raw.received(raw.frames.length + 1);
    expect(raw.messages().find((m) => m.action === "pong")).toEqual({
      action: "pong",
      ref: 7,
    });
    expect(raw.frames.map((frame) => frame.opcode)).toContain(OPCODE.pong);
    await nobodyNoticed();
  });

  test("a connection that ends anywhere leaves nothing behind", async () => {
    const frame = Buffer.alloc(60);
    for (let cut = 0; cut < 60; cut += 7) {
      using raw = await RawSocket.connect(port(), {
        path: `/chat?room=${ATTACKED}`,
      });
      await raw.received(2);
      raw.socket.write(bytes(0x81, 0xbc, 0, 0, 0, 0, frame.subarray(0, cut)));
      raw.socket.destroy();
    }
    await nobodyNoticed();
    using bob = await Client.connect(server.url);
    await bob.join(ATTACKED);
    let count = 0;
    while (count !== 4)
      ({ count } = await bob.request({
        action: "get_members",
        room: ATTACKED,
      }));
  });

  test("any bytes after the handshake harm nobody", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        async (noise) => {
          using raw = await RawSocket.connect(port());
          await raw.received(1);
          raw.socket.end(noise);
          await raw.ended;
          await nobodyNoticed();
        },
      ),
      { numRuns: 100 },
    );
  });

  test("any request line harms nobody", async () => {
    const paths = fc
      .webUrl({ withQueryParameters: true })
      .map((url) => new URL(url))
      .map(({ pathname, search }) => pathname + search);
    const query = fc
      .webQueryParameters()
      .map((q) => `/chat?room=${ATTACKED}&name=eve&${q}`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(paths, query), async (path) => {
        const { socket, answer } = await shake(port(), { path });
        socket.destroy();
        expect([101, 200, 400, 404, 426, 503]).toContain(answer.status);
        await nobodyNoticed();
      }),
      { numRuns: 50 },
    );
  });
});
