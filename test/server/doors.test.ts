import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../support/client.ts";
import { InProcessServer, THREADS } from "../support/server.ts";
import { SECRET, token } from "../support/tokens.ts";
import { OPCODE, RawSocket, refusal, shake } from "./raw-socket.ts";
import { received } from "./helpers.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

/** What stands before the sockets, and what bounds one user. */

const portOf = (server: InProcessServer): number =>
  server.roomcast.server.port!;

describe("--allowed-origins", () => {
  test("refuses pages from elsewhere, at every socket, and nobody else", async () => {
    await using server = new InProcessServer(
      ...[
        "--allowed-origins",
        "https://chat.example.com,https://*.example.org",
      ],
    );
    for (const path of ["/chat", "/echo"]) {
      for (const origin of [
        "https://evil.example.com",
        "null",
        "https://example.org",
      ])
        expect(
          await refusal(portOf(server), { path, headers: { origin } }),
        ).toMatchObject({ status: 403, code: "forbidden" });
      for (const headers of [
        { origin: "https://chat.example.com" },
        { origin: "https://a.example.org" },
        undefined,
      ]) {
        using socket = await RawSocket.connect(portOf(server), {
          path,
          ...(headers ? { headers } : {}),
        });
        await socket.received(1);
      }
    }
    // A page that asks without an upgrade, to know why, is told the same.
    const answer = await fetch(`${server.http}/chat`, {
      headers: { origin: "https://evil.example.com" },
    });
    expect(answer.status).toBe(403);
  });
});

describe("--trusted-proxies", () => {
  const limit = ["--max-connections-per-address", "1"];
  const forwarded = (address: string) => ({
    headers: { "x-forwarded-for": address },
  });

  test("tell for whom they stand; each of those has places of its own", async () => {
    await using server = new InProcessServer(
      ...limit,
      ...["--trusted-proxies", "127.0.0.1"],
    );
    using one = await RawSocket.connect(portOf(server), forwarded("192.0.2.1"));
    using two = await RawSocket.connect(portOf(server), forwarded("192.0.2.2"));
    await Promise.all([one.received(1), two.received(1)]);
    expect(
      await refusal(portOf(server), forwarded("9.9.9.9, 192.0.2.1")),
    ).toMatchObject({ status: 503, code: "too_many_connections" });
  });

  test("are nobody unless that is said, and nobody else can say who he is", async () => {
    for (const flags of [[], ["--trusted-proxies", "127.0.0.9"]]) {
      await using server = new InProcessServer(...limit, ...flags);
      using one = await RawSocket.connect(
        portOf(server),
        forwarded("192.0.2.1"),
      );
      await one.received(1);
      expect(
        await refusal(portOf(server), forwarded("192.0.2.2")),
      ).toMatchObject({ status: 503 });
    }
  });
});

describe("--max-handshakes-per-second", () => {
  test("stops a flood from one address before its tokens are looked at, while another converses", async () => {
    await using server = new InProcessServer(
      ...["--max-handshakes-per-second", "5", "--jwt-secret", SECRET],
    );
    const good = await token();
    using bob = await RawSocket.connect(portOf(server), {
      from: "127.0.0.2",
      path: `/chat?token=${good}&room=r`,
    });
    await bob.received(2);
    const answers: number[] = [];
    let said = 0;
    const flood = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        const { socket, answer } = await shake(portOf(server), {
          path: "/chat?token=nonsense",
        });
        socket.destroy();
        answers.push(answer.status);
        if (i % 10) continue;
        bob.sendJson({
          action: "send_message",
          room: "r",
          text: "x",
          ref: ++said,
        });
      }
    };
    await Promise.all([flood(), flood(), flood(), flood()]);
    await bob.received(2 + 2 * said);
    const acks = bob.messages().filter((m) => m.action === "message_sent");
    expect(acks.map((m) => m.ref)).toEqual(
      Array.from({ length: said }, (_, i) => i + 1),
    );
    const looked = answers.filter((status) => status === 401).length;
    expect(answers.filter((status) => status === 429)).toHaveLength(
      answers.length - looked,
    );
    // A burst of ten seconds' worth for each thread, and what a slow machine lets grow back.
    expect(looked).toBeGreaterThanOrEqual(50);
    expect(looked).toBeLessThan(50 * THREADS + 200);
    const refused = await refusal(portOf(server), { path: "/chat" });
    if (refused.status === 429)
      expect(refused).toMatchObject({ code: "rate_limited" });
    // Others come in as before.
    using ann = await RawSocket.connect(portOf(server), {
      from: "127.0.0.3",
      path: `/chat?token=${good}`,
    });
    await ann.received(1);
  });
});

test.skipIf(THREADS > 1)(
  "--max-messages-per-second-per-user holds over all connections of a user, and only of that one",
  async () => {
    await using server = new InProcessServer(
      ...["--jwt-secret", SECRET, "--max-messages-per-second", "10"],
      ...["--max-messages-per-second-per-user", "5"],
    );
    const bobs = `token=${await token({ sub: "bob" })}`;
    using one = await Client.connect(server.url, "json", bobs);
    using two = await Client.connect(server.url, "msgpack", bobs);
    using ann = await Client.connect(
      server.url,
      "json",
      `token=${await token({ sub: "ann" })}`,
    );
    for (const client of [one, two, ann]) await client.join("r");
    const answers = await Promise.all(
      [one, two].flatMap((client) =>
        Array.from({ length: 15 }, () => client.say("r", "x")),
      ),
    );
    const stored = answers.filter((m) => m.action === "message_sent").length;
    // Twice five at once; each of them alone may send twice ten.
    expect(stored).toBeGreaterThanOrEqual(10);
    expect(stored).toBeLessThan(20);
    for (const answer of answers)
      if (answer.action === "error")
        expect(answer).toMatchObject({
          code: "rate_limited",
          retry_after_ms: expect.any(Number),
        });
    expect(await ann.say("r", "x")).toMatchObject({ action: "message_sent" });
    const { userRates } = server.roomcast.gateway!;
    expect(userRates.size).toBe(2);
    for (const client of [one, two, ann]) client.close();
    await server.connectionsAre(0);
    expect(userRates.size).toBe(0);
  },
);

describe("--max-bytes-per-second", () => {
  test("refuses what is too much, tells which request it was, and closes whoever keeps on", async () => {
    await using server = new InProcessServer(
      ...["--max-bytes-per-second", "1024", "--max-requests-per-second", "0"],
    );
    using bob = await Client.connect(server.url);
    using ann = await Client.connect(server.url);
    const fill = "x".repeat(1000);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => bob.request({ action: "ping", fill })),
    );
    const pongs = answers.filter((m) => m.action === "pong").length;
    expect(pongs).toBeGreaterThanOrEqual(3);
    expect(pongs).toBeLessThan(20);
    expect(answers.find((m) => m.action === "error")).toMatchObject({
      code: "rate_limited",
      message: expect.stringContaining("bytes"),
      retry_after_ms: expect.any(Number),
    });
    expect(await ann.request({ action: "ping" })).toMatchObject({
      action: "pong",
    });
    for (let i = 0; i < 3000; i++) bob.send({ action: "ping", fill });
    expect((await bob.closed).code).toBe(4001);
  });

  test("lets the largest frame through where nothing came before", async () => {
    await using server = new InProcessServer("--max-bytes-per-second", "1024");
    using bob = await Client.connect(server.url, "msgpack");
    // Together, and the second worth a second's bytes: a slow machine must not give it the time.
    const [first, second] = await Promise.all(
      [60_000, 1000].map((bytes) =>
        bob.request({ action: "ping", fill: "x".repeat(bytes) }),
      ),
    );
    expect(first).toMatchObject({ action: "pong" });
    expect(second).toMatchObject({ code: "rate_limited" });
    expect(received(bob, "pong")).toHaveLength(1);
  });
});

test("a socket that was closed before its token was looked at leaves no place behind", async () => {
  await using server = new InProcessServer(
    ...["--jwt-secret", SECRET, "--max-connections-per-address", "2"],
  );
  const good = await token();
  for (let i = 0; i < 20; i++) {
    const { socket, answer } = await shake(portOf(server), { path: "/chat" });
    // Still full of those before.
    if (answer.status === 503) {
      socket.destroy();
      await Bun.sleep(1);
      continue;
    }
    const payload = Buffer.from(`{"action":"authenticate","token":"${good}"}`);
    const header = Buffer.from([
      0x80 | OPCODE.text,
      0x80 | 126,
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    header.writeUInt16BE(payload.length, 2);
    socket.write(Buffer.concat([header, payload]));
    socket.end();
    socket.destroy();
  }
  await server.connectionsAre(0);
  for (;;) {
    const { socket, answer } = await shake(portOf(server), {
      path: `/chat?token=${good}`,
    });
    const { socket: second, answer: other } = await shake(portOf(server), {
      path: `/chat?token=${good}`,
    });
    socket.destroy();
    second.destroy();
    if (answer.status === 101 && other.status === 101) break;
    await Bun.sleep(1);
  }
});
