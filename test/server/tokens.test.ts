import { createHmac, createPrivateKey } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  afterAll,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { Client } from "../support/client.ts";
import { InProcessServer, TempFolder } from "../support/server.ts";
import {
  SECRET,
  forged,
  inSeconds,
  keyPair,
  token,
  type KeyPair,
} from "../support/tokens.ts";
import { event } from "./helpers.ts";
import { RawSocket, refusal, shake } from "./raw-socket.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

/** Who comes in by a token, and who does not. */

const portOf = (server: InProcessServer): number =>
  server.roomcast.server.port!;

const REFUSED = {
  status: 401,
  code: "unauthorized",
  message: "the token is not valid",
};

const atTheDoor = (server: InProcessServer, token: string) =>
  refusal(portOf(server), { path: `/chat?token=${encodeURIComponent(token)}` });

/** What a handshake with a token is answered. */
async function statusFor(
  server: InProcessServer,
  token: string,
): Promise<number> {
  const { socket, answer } = await shake(portOf(server), {
    path: `/chat?token=${token}`,
  });
  socket.destroy();
  return answer.status;
}

describe("a server with a secret", () => {
  let server: InProcessServer;
  beforeAll(() => {
    server = new InProcessServer(
      ...["--jwt-secret", SECRET, "--jwt-issuer", "https://id.example.com"],
      ...["--jwt-audience", "roomcast"],
    );
  });
  afterAll(() => server.stop());
  const claims = {
    sub: "bob",
    exp: inSeconds(3600),
    iss: "https://id.example.com",
    aud: "roomcast",
  };
  const hmac =
    (algorithm: string, secret: string) =>
    (input: string): string =>
      createHmac(algorithm, secret).update(input).digest("base64url");
  const good = forged({ alg: "HS256" }, claims, hmac("sha256", SECRET));

  test("takes a token in the query: the user is the token's", async () => {
    const named = await token({ ...claims, name: "Bob Ross" });
    using bob = await Client.connect(server.url, "json", `token=${named}`);
    expect(bob.user).toEqual({ id: "bob", name: "Bob Ross" });
    expect(bob.welcome.session).toBeUndefined();
    using plain = await Client.connect(server.url, "msgpack", `token=${good}`);
    expect(plain.user).toEqual({ id: "bob", name: "bob" });
  });

  test("takes a token in the header, whatever the case of its scheme", async () => {
    for (const scheme of ["Bearer", "bearer", "BEARER"]) {
      using socket = await RawSocket.connect(portOf(server), {
        headers: { authorization: `${scheme} ${good}` },
      });
      await socket.received(1);
      expect(socket.messages()[0]).toMatchObject({
        action: "welcome",
        user: { id: "bob" },
      });
    }
  });

  test("lets the query's token beat the header's", async () => {
    const ann = await token({ ...claims, sub: "ann" });
    using socket = await RawSocket.connect(portOf(server), {
      path: `/chat?token=${ann}`,
      headers: { authorization: "Bearer nonsense" },
    });
    await socket.received(1);
    expect(socket.messages()[0]).toMatchObject({ user: { id: "ann" } });
  });

  test("takes an audience that is one of several", async () => {
    const some = await token({ ...claims, aud: ["other", "roomcast"] });
    using bob = await Client.connect(server.url, "json", `token=${some}`);
    expect(bob.user.id).toBe("bob");
  });

  test("takes a token in the first frame, and what follows it", async () => {
    using socket = await RawSocket.connect(portOf(server), {
      path: "/chat?room=r",
    });
    await socket.received(1);
    expect(socket.messages()[0]).toEqual({
      action: "authenticate_first",
      within_ms: 5000,
    });
    for (const request of [
      { action: "ping", ref: 1 },
      { action: "authenticate", ref: 2, token: good },
      { action: "send_message", ref: 3, room: "r", text: "hi" },
    ])
      socket.send(1, JSON.stringify(request));
    await socket.received(7);
    const said = socket
      .messages()
      .filter((m) => m.action !== "members_changed");
    expect(said.slice(1)).toMatchObject([
      { action: "pong", ref: 1 },
      {
        action: "authenticated",
        ref: 2,
        user: { id: "bob", name: "bob" },
        expires_in_ms: expect.any(Number),
      },
      { action: "welcome", user: { id: "bob" } },
      { action: "room_joined", room: "r" },
      { action: "receive_message", text: "hi", user: "bob" },
      { action: "message_sent", ref: 3 },
    ]);
    // Its place is the user's: nothing is counted twice, nothing is left behind.
    expect(server.roomcast.connections).toBe(1);
    socket[Symbol.dispose]();
    await server.connectionsAre(0);
  });

  const BAD: Record<string, string> = {
    "no token at all": "nonsense",
    "a guest's session": "WyJndWVzdDp4Il0.c2ln",
    "another secret": forged(
      { alg: "HS256" },
      claims,
      hmac("sha256", "f".repeat(32)),
    ),
    "no signature": `${good.split(".").slice(0, 2).join(".")}.`,
    "a truncated signature": good.slice(0, -1),
    "a truncated token": good.slice(0, 40),
    "a token with something after it": `${good}A`,
    "a fourth part": `${good}.e30`,
    "claims changed after signing": good.replace(
      good.split(".")[1]!,
      Buffer.from(JSON.stringify({ ...claims, sub: "root" })).toString(
        "base64url",
      ),
    ),
    "alg none": forged({ alg: "none" }, claims),
    "alg NONE": forged({ alg: "NONE" }, claims),
    "alg none, signed all the same": forged(
      { alg: "none" },
      claims,
      hmac("sha256", SECRET),
    ),
    "no alg": forged({ typ: "JWT" }, claims, hmac("sha256", SECRET)),
    "a longer hash": forged({ alg: "HS512" }, claims, hmac("sha512", SECRET)),
    "a critical header nobody knows": forged(
      { alg: "HS256", crit: ["x"], x: 1 },
      claims,
      hmac("sha256", SECRET),
    ),
    "unencoded claims": forged(
      { alg: "HS256", crit: ["b64"], b64: false },
      claims,
      hmac("sha256", SECRET),
    ),
    "more than a token may be": `${good}${"A".repeat(9000)}`,
  };
  const signed = (changed: object): string =>
    forged(
      { alg: "HS256" },
      JSON.parse(JSON.stringify({ ...claims, ...changed })),
      hmac("sha256", SECRET),
    );
  test("refuses more than a token may be, although it is signed", async () => {
    const pad = (length: number): string => signed({ pad: "x".repeat(length) });
    expect(await statusFor(server, pad(5800))).toBe(101);
    expect(await atTheDoor(server, pad(6200))).toMatchObject(REFUSED);
  });

  const BAD_CLAIMS: Record<string, object> = {
    expired: { exp: inSeconds(-10) },
    "no exp": { exp: undefined },
    "exp as text": { exp: String(inSeconds(3600)) },
    "exp in no time that a clock can show": { exp: 1e300 },
    "not yet valid": { nbf: inSeconds(60) },
    "another issuer": { iss: "https://evil.example.com" },
    "no issuer": { iss: undefined },
    "another audience": { aud: "other" },
    "no audience": { aud: undefined },
    "no sub": { sub: undefined },
    "an empty sub": { sub: "" },
    "a sub that is a number": { sub: 7 },
    "a sub that is a guest's": { sub: "guest:abc" },
    "a sub with a line break": { sub: "bob\nroot" },
    "a sub with a lone surrogate": { sub: "bob\ud800" },
    "a sub that is too long": { sub: "x".repeat(129) },
    "a name that is too long": { name: "x".repeat(65) },
    "a name with control characters": { name: "Bob\u0007" },
    "a name that is no text": { name: { toString: "Bob" } },
    "rooms that are a list": { rooms: ["*"] },
    "rooms that are text": { rooms: "*:join" },
    "rooms of null": { rooms: null },
    "rights that are text": { rooms: { "*": "join" } },
    "rights that are no text": { rooms: { "*": [1] } },
    "an empty pattern": { rooms: { "": ["join"] } },
    "too many patterns": {
      rooms: Object.fromEntries(
        Array.from({ length: 65 }, (_, i) => [`r${i}`, ["join"]]),
      ),
    },
    "too many rights": { rooms: { "*": Array(17).fill("join") } },
  };

  test("tells whole milliseconds of a token that ends between two of them", async () => {
    using socket = await RawSocket.connect(portOf(server));
    const odd = signed({ exp: inSeconds(3600) + 0.0123 });
    socket.send(1, JSON.stringify({ action: "authenticate", token: odd }));
    await socket.received(2);
    expect(socket.messages()[1]).toMatchObject({ action: "authenticated" });
    expect(Number.isInteger(socket.messages()[1]!.expires_in_ms)).toBe(true);
  });

  test.each(Object.entries(BAD))("refuses %s", async (_, bad) => {
    // Longer than HTTP headers may be, some servers would not even look at it: 401 or 431, never in.
    const answer = await atTheDoor(server, bad);
    expect(answer).toMatchObject(REFUSED);
  });

  test.each(Object.entries(BAD_CLAIMS))("refuses %s", async (_, changed) => {
    const exact = signed({});
    expect(await statusFor(server, exact)).toBe(101);
    expect(await atTheDoor(server, signed(changed))).toMatchObject(REFUSED);
  });

  test("refuses a bad token in the header, and tells a page that asks without an upgrade", async () => {
    expect(
      await refusal(portOf(server), {
        headers: { authorization: "Bearer nonsense" },
      }),
    ).toMatchObject(REFUSED);
    const answer = await fetch(`${server.http}/chat?token=nonsense`);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(await answer.json()).toEqual({
      code: "unauthorized",
      message: "the token is not valid",
    });
    expect((await fetch(`${server.http}/chat?token=${good}`)).status).toBe(426);
  });

  test("refuses text connections without a token: they cannot show one later", async () => {
    expect(
      await refusal(portOf(server), { path: "/chat?format=text" }),
    ).toMatchObject({ status: 401, code: "unauthorized" });
    using ann = await Client.connect(server.url, "text", `token=${good}`);
    ann.send("hello");
    await ann.nextLine("[bob]: hello");
  });

  test("a bad token in the first frame ends the connection with 4010", async () => {
    using socket = await RawSocket.connect(portOf(server));
    socket.send(1, '{"action":"authenticate","ref":7,"token":"nonsense"}');
    socket.send(1, `{"action":"authenticate","token":"${good}"}`);
    await socket.ended;
    expect(socket.closeCode).toBe(4010);
    expect(socket.messages().slice(1)).toEqual([
      {
        action: "error",
        ref: 7,
        code: "unauthorized",
        message: "the token is not valid",
      },
    ]);
  });

  test("whoever has shown no token can do nothing", async () => {
    using bob = await Client.connect(server.url, "json", `token=${good}`);
    await bob.join("secret");
    using socket = await RawSocket.connect(portOf(server), {
      path: "/chat?room=secret",
    });
    for (const request of [
      { action: "join_room", room: "secret", ref: 1 },
      { action: "send_message", room: "secret", text: "psst", ref: 2 },
      { action: "get_history", room: "secret", ref: 3 },
      { action: "get_members", room: "secret", ref: 4 },
      { action: "typing", room: "secret", active: true, ref: 5 },
    ])
      socket.send(1, JSON.stringify(request));
    await bob.say("secret", "between us");
    socket.send(1, '{"action":"ping","ref":6}');
    await socket.received(7);
    expect(socket.messages().map((m) => m.code ?? m.action)).toEqual([
      "authenticate_first",
      ...Array(5).fill("unauthorized"),
      "pong",
    ]);
    expect(
      (await bob.request({ action: "get_members", room: "secret" })).count,
    ).toBe(1);
    expect(bob.events("secret").map((m) => m.text)).toEqual(["between us"]);
  });
});

test("whoever talks on without a token is closed with 4010, long before its time is over", async () => {
  await using server = new InProcessServer(
    ...["--jwt-secret", SECRET, "--auth-timeout-ms", "3600000"],
  );
  using socket = await RawSocket.connect(portOf(server));
  for (let i = 0; i < 40; i++) socket.send(1, '{"action":"ping"}');
  await socket.ended;
  expect(socket.closeCode).toBe(4010);
});

test("whoever shows no token is closed with 4010 after --auth-timeout-ms, and takes no place any more", async () => {
  await using server = new InProcessServer(
    ...["--jwt-secret", SECRET, "--auth-timeout-ms", "100"],
    ...["--max-connections-per-address", "3"],
  );
  const sockets = await Promise.all(
    [1, 2, 3].map(() => RawSocket.connect(portOf(server))),
  );
  for (const socket of sockets) {
    await socket.ended;
    expect(socket.closeCode).toBe(4010);
  }
  const good = await token();
  using one = await Client.connect(server.url, "json", `token=${good}`);
  using two = await Client.connect(server.url, "json", `token=${good}`);
  using three = await Client.connect(server.url, "json", `token=${good}`);
  await one.join("r");
  expect(await atTheDoor(server, good)).toMatchObject({ status: 503 });
  two.close();
  three.close();
});

describe.each(["rsa", "ec", "ed25519"] as const)("a public key: %s", (kind) => {
  const folder = new TempFolder();
  const file = join(folder.path, "key.pem");
  let pair: KeyPair;
  let server: InProcessServer;
  beforeAll(() => {
    pair = keyPair(kind);
    writeFileSync(file, pair.publicPem);
    server = new InProcessServer("--jwt-public-key", file);
  });
  afterAll(async () => {
    await server.stop();
    folder[Symbol.dispose]();
  });

  test("takes a token of its private key", async () => {
    const good = await token({}, pair.privateKey, { alg: pair.alg });
    using bob = await Client.connect(server.url, "json", `token=${good}`);
    expect(bob.user.id).toBe("bob");
  });

  test("refuses one of another key of its kind", async () => {
    const bad = await token({}, keyPair(kind).privateKey, { alg: pair.alg });
    expect(await atTheDoor(server, bad)).toMatchObject(REFUSED);
  });

  test("is never taken for a secret", async () => {
    const claims = { sub: "root", exp: inSeconds(3600) };
    const lines = pair.publicPem.trim().split("\n").slice(1, -1).join("");
    for (const secret of [
      pair.publicPem,
      pair.publicPem.trim(),
      lines,
      Buffer.from(lines, "base64"),
    ])
      for (const alg of ["HS256", "HS512", pair.alg]) {
        const bad = forged({ alg }, claims, (input) =>
          createHmac(alg === "HS512" ? "sha512" : "sha256", secret)
            .update(input)
            .digest("base64url"),
        );
        expect(await atTheDoor(server, bad)).toMatchObject(REFUSED);
      }
    expect(
      await atTheDoor(server, forged({ alg: "none" }, claims)),
    ).toMatchObject(REFUSED);
  });

  test("is not taken from the token itself", async () => {
    const mine = keyPair(kind);
    const { createPublicKey } = await import("node:crypto");
    const jwk = createPublicKey(mine.publicPem).export({ format: "jwk" });
    const bad = await token({}, mine.privateKey, {
      alg: mine.alg,
      ...({
        jwk,
        jku: "http://127.0.0.1:1/",
        x5u: "http://127.0.0.1:1/",
      } as object),
    });
    expect(await atTheDoor(server, bad)).toMatchObject(REFUSED);
  });
});

/** An issuer of keys: an HTTP server with a key set that changes. */
class Issuer implements Disposable {
  keys: object[] = [];
  fetched = 0;
  broken = false;
  /** What an answer waits for. */
  before: () => Promise<void> = async () => {};
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async () => {
      this.fetched++;
      await this.before();
      return this.broken
        ? new Response("no", { status: 500 })
        : Response.json({ keys: this.keys });
    },
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/keys`;
  }

  async add(kid: string, pair: KeyPair): Promise<void> {
    const { createPublicKey } = await import("node:crypto");
    const jwk = createPublicKey(pair.publicPem).export({ format: "jwk" });
    this.keys.push({ ...jwk, kid, alg: pair.alg, use: "sig" });
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

describe("keys from a URL", () => {
  test("are fetched once, for any number of tokens", async () => {
    using issuer = new Issuer();
    const pairs = [keyPair("rsa"), keyPair("ec"), keyPair("ed25519")];
    for (const [i, pair] of pairs.entries()) await issuer.add(`k${i}`, pair);
    await using server = new InProcessServer(
      "--jwks-url",
      issuer.url,
      "--threads",
      "1",
    );
    for (const [i, { alg, privateKey }] of pairs.entries()) {
      const good = await token({}, privateKey, { alg, kid: `k${i}` });
      using bob = await Client.connect(server.url, "json", `token=${good}`);
      expect(bob.user.id).toBe("bob");
    }
    expect(issuer.fetched).toBe(1);
  });

  test("rotate: a new key is fetched when a token names it, and an old one that is gone opens nothing", async () => {
    using issuer = new Issuer();
    const [first, second] = [keyPair("ec"), keyPair("ec")];
    await using server = new InProcessServer(
      ...["--jwks-url", issuer.url, "--jwks-cooldown-ms", "0"],
    );
    await issuer.add("first", first);
    const old = await token({}, first.privateKey, {
      alg: "ES256",
      kid: "first",
    });
    const fresh = await token({}, second.privateKey, {
      alg: "ES256",
      kid: "second",
    });
    expect(await statusFor(server, old)).toBe(101);
    expect(await atTheDoor(server, fresh)).toMatchObject(REFUSED);
    issuer.keys = [];
    await issuer.add("second", second);
    expect(await statusFor(server, fresh)).toBe(101);
  });

  test("are not fetched for each token with a made-up key", async () => {
    using issuer = new Issuer();
    const pair = keyPair("ec");
    await issuer.add("k", pair);
    await using server = new InProcessServer(
      ...["--jwks-url", issuer.url, "--threads", "1"],
    );
    for (let i = 0; i < 20; i++)
      expect(
        await atTheDoor(
          server,
          await token({}, pair.privateKey, { alg: "ES256", kid: `m${i}` }),
        ),
      ).toMatchObject(REFUSED);
    expect(issuer.fetched).toBe(1);
    expect(
      await statusFor(
        server,
        await token({}, pair.privateKey, { alg: "ES256", kid: "k" }),
      ),
    ).toBe(101);
  });

  test("that cannot be had are the server's trouble, not the token's: 503, and the next try", async () => {
    using issuer = new Issuer();
    const pair = keyPair("ec");
    await issuer.add("k", pair);
    issuer.broken = true;
    await using server = new InProcessServer("--jwks-url", issuer.url);
    const good = await token({}, pair.privateKey, { alg: "ES256", kid: "k" });
    expect(await atTheDoor(server, good)).toMatchObject({
      status: 503,
      code: "unavailable",
    });
    issuer.broken = false;
    for (;;) {
      const status = await statusFor(server, good);
      if (status === 101) break;
      expect(status).toBe(503);
      await Bun.sleep(50);
    }
  });

  test("that take long are not the token's fault either: who has shown one in time is not closed for it", async () => {
    using issuer = new Issuer();
    const pair = keyPair("ec");
    await issuer.add("k", pair);
    const { promise: asked, resolve: nowAsked } = Promise.withResolvers<void>();
    const { promise: may, resolve: answerNow } = Promise.withResolvers<void>();
    issuer.before = () => {
      nowAsked();
      return may;
    };
    await using server = new InProcessServer(
      ...["--jwks-url", issuer.url, "--auth-timeout-ms", "1000"],
    );
    using shown = await RawSocket.connect(portOf(server));
    const good = await token({}, pair.privateKey, { alg: "ES256", kid: "k" });
    shown.send(1, JSON.stringify({ action: "authenticate", token: good }));
    await asked;
    // One whose time begins later is over already.
    using none = await RawSocket.connect(portOf(server));
    await none.ended;
    expect(none.closeCode).toBe(4010);
    answerNow();
    await shown.received(3);
    expect(shown.messages().map((m) => m.action)).toEqual([
      "authenticate_first",
      "authenticated",
      "welcome",
    ]);
  });

  test("that cannot be had until the time is over: closed with 1011, so that clients come back", async () => {
    using issuer = new Issuer();
    issuer.broken = true;
    await using server = new InProcessServer(
      ...["--jwks-url", issuer.url, "--auth-timeout-ms", "500"],
    );
    using socket = await RawSocket.connect(portOf(server));
    const { privateKey } = keyPair("ec");
    const shown = await token({}, privateKey, { alg: "ES256", kid: "k" });
    socket.send(1, JSON.stringify({ action: "authenticate", token: shown }));
    await socket.ended;
    expect(socket.messages()[1]).toMatchObject({
      code: "unavailable",
      retry_after_ms: expect.any(Number),
    });
    expect(socket.closeCode).toBe(1011);
  });

  test("are for the algorithms that are said, even where the key does not say for which", async () => {
    using issuer = new Issuer();
    const pair = keyPair("rsa");
    await issuer.add("k", pair);
    for (const key of issuer.keys) delete (key as { alg?: string }).alg;
    await using server = new InProcessServer("--jwks-url", issuer.url);
    const by = (alg: string): Promise<string> =>
      token({}, createPrivateKey(pair.privatePem), { alg, kid: "k" });
    expect(await statusFor(server, await by("RS256"))).toBe(101);
    for (const alg of ["RS384", "RS512", "PS256"])
      expect(await atTheDoor(server, await by(alg))).toMatchObject(REFUSED);
  });

  test("never are secrets: a token signed with a public one, or with a symmetric one that is there, is refused", async () => {
    using issuer = new Issuer();
    const pair = keyPair("rsa");
    await issuer.add("k", pair);
    const secret = Buffer.from(SECRET);
    issuer.keys.push({
      kty: "oct",
      k: secret.toString("base64url"),
      kid: "oct",
    });
    await using server = new InProcessServer("--jwks-url", issuer.url);
    for (const [kid, key] of [
      ["k", pair.publicPem],
      ["oct", SECRET],
    ] as const)
      expect(
        await atTheDoor(
          server,
          forged(
            { alg: "HS256", kid },
            { sub: "root", exp: inSeconds(60) },
            (input) =>
              createHmac("sha256", key).update(input).digest("base64url"),
          ),
        ),
      ).toMatchObject(REFUSED);
  });
});

describe("without a key", () => {
  test("a token counts for nothing: everybody is a guest", async () => {
    await using server = new InProcessServer();
    using bob = await Client.connect(
      server.url,
      "json",
      "token=nonsense&name=Bob",
    );
    expect(bob.user).toMatchObject({
      id: expect.stringMatching(/^guest:/),
      name: "Bob",
    });
    expect(
      await bob.request({ action: "authenticate", token: await token() }),
    ).toMatchObject({ code: "unauthorized" });
  });
});

describe("--auth optional", () => {
  test("lets guests in beside tokens, into their rooms; a bad token makes no guest", async () => {
    await using server = new InProcessServer(
      ...["--jwt-secret", SECRET, "--auth", "optional"],
      ...["--guest-rooms", "lobby news-*:join"],
    );
    using guest = await Client.connect(server.url, "json", "name=Gil");
    expect(guest.user.id).toMatch(/^guest:/);
    using bob = await Client.connect(
      server.url,
      "json",
      `token=${await token()}`,
    );
    expect(await guest.join("secret")).toMatchObject({ code: "forbidden" });
    expect(await guest.join("news-1")).toMatchObject({ action: "room_joined" });
    expect(await guest.say("news-1", "hi")).toMatchObject({
      code: "forbidden",
    });
    await guest.join("lobby");
    await bob.join("lobby");
    await guest.say("lobby", "hello");
    await event(bob, "lobby", "hello");
    expect(await atTheDoor(server, "nonsense")).toMatchObject(REFUSED);
    for (const shown of ["nonsense", "more than one word"])
      expect(
        await refusal(portOf(server), {
          headers: { authorization: `Bearer ${shown}` },
        }),
      ).toMatchObject(REFUSED);
    expect(
      await guest.request({ action: "authenticate", token: await token() }),
    ).toMatchObject({ code: "forbidden" });
    // A guest's session is good for the guest only.
    using again = await Client.connect(
      server.url,
      "json",
      `session=${guest.welcome.session}`,
    );
    expect(again.user).toEqual(guest.user);
    expect(await again.join("secret")).toMatchObject({ code: "forbidden" });
  });
});

test("a guest's session is no token where tokens are required", async () => {
  let session = "";
  {
    await using open = new InProcessServer("--session-key", "k".repeat(16));
    using guest = await Client.connect(open.url);
    session = guest.welcome.session;
  }
  await using server = new InProcessServer(
    ...["--session-key", "k".repeat(16), "--jwt-secret", SECRET],
  );
  using socket = await RawSocket.connect(portOf(server), {
    path: `/chat?session=${session}`,
  });
  await socket.received(1);
  expect(socket.messages()[0]).toMatchObject({ action: "authenticate_first" });
});
