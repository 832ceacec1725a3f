import { encode } from "@msgpack/msgpack";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Client, type Format } from "../support/client.ts";
import { Random, testSeed } from "../support/random.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";

/**
 * Random and mutated frames of all three formats, on many connections at a time. `ROOMCAST_FUZZ_FRAMES=10000000 bun test
 * test/attacks/fuzz.test.ts` sends more of them.
 */

setDefaultTimeout(300_000);

const FRAMES = Number(process.env.ROOMCAST_FUZZ_FRAMES ?? 1_000_000);
const CONNECTIONS = 24;
/** Sent without waiting for an answer. */
const BURST = 30;
/**
 * What the process may grow by from the second fifth of the frames to the last. In each the least that was seen counts: the rest
 * is what the collector has not taken yet.
 */
const MAX_GROWTH_BYTES = 100 * 1024 * 1024;

const ROOMS = ["fuzz", "fuzz 2", "ü", "x".repeat(128)];

const FORMATS: readonly Format[] = ["json", "msgpack", "text"];

class Fuzzer {
  /** Frames that were looked at. */
  sent = 0;
  /** Connections that the server ended. */
  ended = 0;

  constructor(
    private readonly random: Random,
    private readonly url: string,
  ) {}

  /** One connection after the other, until enough is sent. */
  async run(format: Format): Promise<void> {
    while (this.sent < FRAMES) {
      const socket = new WebSocket(`${this.url}/chat?room=fuzz`, [
        `roomcast.v1.${format}`,
      ]);
      socket.binaryType = "arraybuffer";
      const closed = new Promise<void>((resolve) => {
        socket.onclose = () => resolve();
      });
      await new Promise<void>((resolve, reject) => {
        socket.onmessage = () => resolve();
        socket.onerror = () => reject(new Error("no connection"));
      });
      const ended = await this.#attack(socket, format, closed);
      if (ended) this.ended++;
      socket.close();
      await closed;
    }
  }

  /** @returns whether the server ended the connection */
  async #attack(
    socket: WebSocket,
    format: Format,
    closed: Promise<void>,
  ): Promise<boolean> {
    let alive = true;
    void closed.then(() => (alive = false));
    while (alive && this.sent < FRAMES) {
      for (let i = 0; i < BURST; i++)
        socket.send(this.#frame(format) as string);
      const answered = new Promise<void>((resolve) => {
        socket.onmessage = ({ data }) => {
          if (isAnswer(data)) resolve();
        };
      });
      socket.send(question(format));
      await Promise.race([answered, closed]);
      if (alive) this.sent += BURST;
    }
    return !alive;
  }

  #frame(format: Format): string | Uint8Array {
    const { random } = this;
    if (random.chance(0.02)) return this.#noise(random.below(200));
    const request = this.#request();
    switch (format) {
      case "msgpack":
        return this.#mutate(encode(request, { ignoreUndefined: true }));
      case "json":
        return this.#mutate(Buffer.from(JSON.stringify(request))).toString();
      case "text":
        return this.#mutate(Buffer.from(this.#line())).toString();
    }
  }

  #line(): string {
    return this.random.pick([
      "hello",
      "/who",
      "/help",
      `/join ${this.random.pick(ROOMS)}`,
      "//x",
      "/nothing",
      "",
      "a\nb\r\nc",
    ]);
  }

  #request(): object {
    const { random } = this;
    const room = random.pick(ROOMS);
    const ref = random.below(2 ** 32);
    return random.pick<object>([
      { action: "join_room", room, ref, history: random.below(50) },
      {
        action: "join_room",
        room,
        since: { epoch: "x", seq: random.below(1e9) },
      },
      { action: "leave_room", room, ref },
      { action: "send_message", room, ref, text: "hi", id: `${ref}` },
      { action: "send_message", room, text: "", data: { a: [1, { b: null }] } },
      { action: "get_history", room, ref, before: random.below(1e6) },
      { action: "get_history", room, after: random.below(1e6), limit: 3 },
      { action: "get_members", room, ref },
      { action: "typing", room, active: random.chance(0.5) },
      { action: "ping", ref },
      { action: this.#noise(8).toString(), ref: -1 },
      [ref, room, null],
    ]);
  }

  #mutate(bytes: Uint8Array): Uint8Array {
    const { random } = this;
    const mutated = Buffer.from(bytes);
    if (mutated.length === 0 || random.chance(0.2)) return mutated;
    for (let n = random.below(4); n >= 0; n--)
      mutated[random.below(mutated.length)] = random.below(256);
    const dice = random.next();
    if (dice < 0.1) return mutated.subarray(0, random.below(mutated.length));
    if (dice < 0.15) return Buffer.concat([mutated, this.#noise(9)]);
    if (dice < 0.18) return Buffer.concat([mutated, mutated]);
    return mutated;
  }

  #noise(bytes: number): Buffer {
    const noise = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i++) noise[i] = this.random.below(256);
    return noise;
  }
}

const QUESTION_REF = 4_000_000_001;

/** What is answered in its turn, so that everything sent before it was looked at. */
function question(format: Format): string {
  const ping = { action: "ping", ref: QUESTION_REF };
  if (format === "text") return "/help";
  return (format === "json" ? JSON.stringify(ping) : encode(ping)) as string;
}

function isAnswer(data: string | ArrayBuffer): boolean {
  if (typeof data !== "string")
    return Buffer.from(data).includes(QUESTION_REF_BYTES);
  return data.includes(`"ref":${QUESTION_REF}`) || data.includes("/join ROOM");
}

const QUESTION_REF_BYTES = Buffer.from(encode(QUESTION_REF));

test(`${FRAMES.toLocaleString("en-US")} random and mutated frames harm nobody`, async () => {
  using folder = new TempFolder();
  await using server = await ServerProcess.start(
    folder.path,
    ...["--max-connections-per-address", "0", "--max-idle-rooms", "100"],
    ...["--max-messages-per-second", "0", "--max-requests-per-second", "0"],
    ...["--retention-events-per-room", "10000"],
    ...["--ring-bytes", "1048576", "--dedupe-max-keys", "10000"],
  );
  const random = new Random(testSeed());
  const fuzzer = new Fuzzer(random, server.url);
  using ann = await Client.connect(server.url);
  using bob = await Client.connect(server.url, "msgpack");
  await ann.join("quiet");
  await bob.join("quiet");
  let over = false;
  const least = [Infinity, Infinity, Infinity, Infinity, Infinity];
  const conversation = (async () => {
    let said = 0;
    while (!over) {
      const text = `${said++}`;
      const heard = bob.next((m) => m.text === text);
      await ann.say("quiet", text);
      await heard;
      const fifth = Math.min(4, Math.floor((5 * fuzzer.sent) / FRAMES));
      least[fifth] = Math.min(least[fifth]!, residentBytes(server));
    }
    return said;
  })();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, (_, i) =>
      fuzzer.run(FORMATS[i % FORMATS.length]!),
    ),
  );
  over = true;
  const said = await conversation;
  const context = `seed ${random.seed}`;
  expect(fuzzer.sent, context).toBeGreaterThanOrEqual(FRAMES);
  // Garbage ends connections, and the rest of it does not: both were met.
  expect(fuzzer.ended, context).toBeGreaterThan(100);
  expect(fuzzer.ended, context).toBeLessThan(fuzzer.sent / 20);
  expect(said, context).toBeGreaterThan(100);
  const texts = Array.from({ length: said }, (_, i) => `${i}`);
  for (const client of [ann, bob])
    expect(client.events("quiet").map(({ text }) => text)).toEqual(texts);
  expect(server.process.exitCode, context).toBeNull();
  expect(least[4]! - least[1]!, context).toBeLessThan(MAX_GROWTH_BYTES);
  const left = async () =>
    ((await (await fetch(`${server.http}/health`)).json()) as any).connections;
  while ((await left()) !== 2) await Bun.sleep(1);
});

/** @returns 0 where it cannot be known */
function residentBytes({ process }: ServerProcess): number {
  try {
    const pages = readFileSync(`/proc/${process.pid}/statm`, "utf8");
    return Number(pages.split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}
