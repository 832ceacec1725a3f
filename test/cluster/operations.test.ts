import {
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
} from "@nats-io/jwt";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, credsAuthenticator } from "@nats-io/transport-node";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { RoomcastClient } from "../../src/client/index.ts";
import { Client, type Message } from "../support/client.ts";
import { natsServer, NatsServers, tellSkipped } from "../support/nats.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";
import { said } from "./said.ts";

/** What an operator of a server over NATS sees: how it starts, why it does not, what it does when NATS is not there. */

tellSkipped("servers over NATS as an operator sees them");
setDefaultTimeout(60_000);

/** Starts a server that cannot start. @returns its exit code, and the lines it wrote */
async function refusal(
  ...flags: string[]
): Promise<{ code: number; lines: string[] }> {
  const child = Bun.spawn(
    [process.execPath, "run", "src/server.ts", "--port", "0", ...flags],
    {
      cwd: join(import.meta.dir, "../.."),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  try {
    const [said, complaint, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { code, lines: `${said}${complaint}`.trimEnd().split("\n") };
  } finally {
    child.kill("SIGKILL");
  }
}

/** A server over NATS in a folder of its own, whose history is under a prefix of its own. */
class Started implements AsyncDisposable {
  static #prefixes = 0;

  private constructor(
    readonly server: ServerProcess,
    readonly prefix: string,
    private readonly folder: TempFolder,
  ) {}

  static async start(nats: string, ...flags: string[]): Promise<Started> {
    const folder = new TempFolder();
    const prefix = `o${++Started.#prefixes}`;
    const server = await ServerProcess.start(
      folder.path,
      ...["--nats", nats, "--nats-prefix", prefix, ...flags],
    );
    return new Started(server, prefix, folder);
  }

  async health(): Promise<{ code: number; status: string }> {
    const response = await fetch(`${this.server.http}/health`);
    const { status } = (await response.json()) as { status: string };
    return { code: response.status, status };
  }

  /** Resolves when `/health` says so. Nobody tells: it is asked. */
  async untilHealth(status: string): Promise<number> {
    for (;;) {
      const health = await this.health();
      if (health.status === status) return health.code;
      await Bun.sleep(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}

describe("a server that cannot start says why in one line, and ends with 1", () => {
  test("where nobody is at --nats", async () => {
    expect(await refusal("--nats", "nats://me:secret@127.0.0.1:1")).toEqual({
      code: 1,
      lines: [
        "roomcast: NATS at 127.0.0.1:1 cannot be used: connection refused",
      ],
    });
  });

  test.skipIf(!natsServer)(
    "where --nats-streams is another number than there are",
    async () => {
      await using nats = await NatsServers.start(1);
      const flags = ["--nats", nats.urls, "--nats-prefix", "four"];
      {
        using folder = new TempFolder();
        await using server = await ServerProcess.start(
          folder.path,
          ...[...flags, "--nats-streams", "4"],
        );
        expect(await server.signal("SIGTERM")).toBe(0);
      }
      for (const streams of ["1", "2", "5"])
        expect(await refusal(...flags, "--nats-streams", streams)).toEqual({
          code: 1,
          lines: [
            "roomcast: NATS stream four-0 is one of 4: set --nats-streams 4",
          ],
        });
    },
  );

  test.skipIf(!natsServer)(
    "where --nats-replicas are more than there are servers",
    async () => {
      await using nats = await NatsServers.start(1);
      const { code, lines } = await refusal(
        ...["--nats", nats.urls, "--nats-replicas", "3"],
      );
      expect(code).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(
        /^roomcast: NATS stream roomcast-0 cannot be used: .*replicas/,
      );
    },
  );
});

/** Users of NATS as its JWTs know them. */
async function makeUsers(): Promise<{
  settings: string;
  good: Uint8Array;
  stranger: Uint8Array;
  limited: Uint8Array;
}> {
  const operator = createOperator();
  const account = createAccount();
  // Nobody logs in there, but JetStream wants it.
  const system = createAccount();
  const systemJwt = await encodeAccount(
    "sys",
    system,
    {},
    { signer: operator },
  );
  const accountJwt = await encodeAccount(
    "chat",
    account,
    {
      limits: {
        ...{ conn: -1, subs: -1, data: -1, payload: -1, wildcards: true },
        ...{ imports: -1, exports: -1, leaf: -1 },
        ...{ mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
      },
    },
    { signer: operator },
  );
  const credentials = async (
    issuer: typeof account,
    permissions = {},
  ): Promise<Uint8Array> => {
    const user = createUser();
    return fmtCreds(await encodeUser("u", user, issuer, permissions), user);
  };
  return {
    settings: [
      `operator: ${await encodeOperator("o", operator)}`,
      "resolver: MEMORY",
      `system_account: ${system.getPublicKey()}`,
      "resolver_preload {",
      `  ${account.getPublicKey()}: ${accountJwt}`,
      `  ${system.getPublicKey()}: ${systemJwt}`,
      "}",
    ].join("\n"),
    good: await credentials(account),
    stranger: await credentials(createAccount()),
    limited: await credentials(account, { pub: { deny: ["$JS.>"] } }),
  };
}

test.skipIf(!natsServer)(
  "credentials in a file let a server in; others do not, and it says so",
  async () => {
    const { settings, good, stranger, limited } = await makeUsers();
    using folder = new TempFolder();
    const file = (name: string, content: Uint8Array | string): string => {
      const path = join(folder.path, name);
      writeFileSync(path, content);
      return path;
    };
    await using nats = await NatsServers.start(1, settings, {
      authenticator: credsAuthenticator(good),
    });
    const creds = file("good.creds", good);
    await using started = await Started.start(
      nats.urls,
      ...["--nats-creds", creds],
    );
    using bob = await Client.connect(started.server.url);
    await bob.join("a");
    expect(await bob.say("a", "let in")).toMatchObject({
      action: "message_sent",
    });
    // They also let it in again.
    await nats.servers[0]!.kill();
    nats.servers[0]!.start();
    await nats.answer();
    await said(bob, "a", "let in again");

    const at = `roomcast: NATS at ${nats.urls.slice(7)} cannot be used: `;
    const wrong = (...flags: string[]): ReturnType<typeof refusal> =>
      refusal("--nats", nats.urls, ...flags);
    for (const flags of [
      [],
      ["--nats-creds", file("stranger.creds", stranger)],
    ]) {
      const { code, lines } = await wrong(...flags);
      expect(code).toBe(1);
      expect(lines).toEqual([expect.stringContaining(at)]);
      expect(lines[0]).toMatch(/authoriz|authentic/i);
    }
    const broken = file("broken.creds", "no credentials at all");
    const { code, lines } = await wrong("--nats-creds", broken);
    expect(code).toBe(1);
    expect(lines).toEqual([`${at}unable to parse credentials`]);
    const denied = await wrong("--nats-creds", file("limited.creds", limited));
    expect(denied.code).toBe(1);
    expect(denied.lines).toHaveLength(1);
    expect(denied.lines[0]).toMatch(/^roomcast: .*(JetStream|permission)/i);
  },
);

test.skipIf(!natsServer).each(["1", "2"])(
  "while NATS is gone sockets stay, sends are refused with a hint, and all goes on when it is back (--threads %s)",
  async (threads) => {
    await using nats = await NatsServers.start(1);
    await using started = await Started.start(
      nats.urls,
      ...["--nats-timeout-ms", "1500", "--threads", threads],
    );
    const { url } = started.server;
    expect(await started.health()).toEqual({ code: 200, status: "ok" });
    using ann = await Client.connect(url, "json", "name=Ann");
    using bob = await Client.connect(url, "msgpack", "name=Bob");
    using tim = await Client.connect(url, "text", "name=Tim&room=a");
    const { epoch, seq } = await ann.join("a");
    await bob.join("a");
    await ann.say("a", "before");

    await nats.servers[0]!.kill();
    expect(await started.untilHealth("unavailable")).toBe(503);
    const refused = await ann.say("a", "lost", { id: "lost" });
    expect(refused).toMatchObject({ action: "error", code: "unavailable" });
    expect(refused.retry_after_ms).toBeGreaterThan(0);
    expect(await bob.join("b")).toMatchObject({ code: "unavailable" });
    tim.send("a line");
    expect((await tim.nextLine("! ")).line).toMatch(/not stored/);
    // Whoever comes now is let in, and told the same.
    using eve = await Client.connect(url, "json", "name=Eve");
    expect(await eve.request({ action: "ping" })).toMatchObject({
      action: "pong",
    });
    expect(await eve.join("c")).toMatchObject({ code: "unavailable" });
    const sdk = new RoomcastClient(url, { name: "Sam", minBackoffMs: 20 });
    const joining = sdk.join("a", { history: 10 });

    nats.servers[0]!.start();
    await nats.answer();
    expect(await started.untilHealth("ok")).toBe(200);
    const room = await joining;
    await room.send("from the SDK");
    await said(ann, "a", "after");
    await bob.next((m) => m.text === "after");
    await tim.nextLine("[Ann]: after");
    await sdk.close();
    // The same sockets, the same store, and nothing that was refused.
    for (const client of [ann, bob, tim])
      expect(client.socket.readyState).toBe(WebSocket.OPEN);
    expect(bob.events("a").map(({ text }) => text)).toEqual([
      "before",
      "from the SDK",
      "after",
    ]);
    using back = await Client.connect(url);
    const resumed = await back.join("a", { since: { epoch, seq } });
    expect(resumed).toMatchObject({ recovered: true, epoch });
    expect(resumed.messages.map((m: Message) => m.text)).toEqual([
      "before",
      "from the SDK",
      "after",
    ]);
  },
);

test.skipIf(!natsServer)(
  "servers with gateway threads hold one conversation, resumed at either, also over a restart of NATS",
  async () => {
    await using nats = await NatsServers.start(1);
    using folder = new TempFolder();
    const start = (): Promise<ServerProcess> =>
      ServerProcess.start(
        folder.path,
        ...[
          "--nats",
          nats.urls,
          "--threads",
          "2",
          "--session-key",
          "the key they share",
        ],
      );
    await using one = await start();
    await using two = await start();
    // Several for each server, so that each thread has some.
    const clients: Client[] = [];
    using _ = {
      [Symbol.dispose]: () => clients.forEach((client) => client.close()),
    };
    for (let i = 0; i < 12; i++)
      clients.push(
        await Client.connect(
          (i % 2 ? one : two).url,
          i % 3 ? "json" : "msgpack",
          `name=c${i}`,
        ),
      );
    const joined = await Promise.all(clients.map((c) => c.join("a")));
    const texts: string[] = [];
    const all = async (text: string): Promise<void> => {
      texts.push(text);
      await Promise.all(
        clients.map((client) => client.next((m) => m.text === text)),
      );
    };
    for (const [i, client] of clients.entries()) {
      const heard = all(`hello from ${i}`);
      client.send({
        action: "send_message",
        room: "a",
        text: `hello from ${i}`,
      });
      await heard;
    }
    await nats.servers[0]!.kill();
    nats.servers[0]!.start();
    await nats.answer();
    for (const [i, client] of clients.entries()) {
      const text = `again from ${i}`;
      await said(client, "a", text);
      texts.push(text);
    }
    const { epoch, seq } = joined[0]!;
    for (const { url } of [one, two, one, two, one, two]) {
      using back = await Client.connect(url);
      const resumed = await back.join("a", { since: { epoch, seq } });
      expect(resumed).toMatchObject({ recovered: true, more: false });
      expect(resumed.messages.map((m: Message) => m.text)).toEqual(texts);
      const last = resumed.messages.at(-1);
      const since = { epoch, seq: last.seq };
      expect(await back.join("a", { since })).toMatchObject({
        recovered: true,
        messages: [],
      });
    }
    const heard = (client: Client): string[] =>
      client.events("a").map(({ text }) => text);
    for (const client of clients) {
      if (!heard(client).includes(texts.at(-1)!))
        await client.next((m) => m.text === texts.at(-1));
      expect(heard(client)).toEqual(texts);
    }
  },
);

test.skipIf(!natsServer)(
  "where a stream is deleted while it runs, a server ends with 1 and says why",
  async () => {
    await using nats = await NatsServers.start(1);
    await using started = await Started.start(
      nats.urls,
      ...["--nats-streams", "2"],
    );
    using ann = await Client.connect(started.server.url);
    await ann.join("a");
    await ann.say("a", "kept for a while");
    const nc = await connect({ servers: nats.urls.slice(7) });
    const jsm = await jetstreamManager(nc);
    await jsm.streams.delete(`${started.prefix}-1`);
    await nc.close();
    expect(await started.server.process.exited).toBe(1);
    const lines = (await started.server.remainingOutput())
      .trimEnd()
      .split("\n");
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      level: "fatal",
      reason: `NATS stream ${started.prefix}-1 is gone`,
      msg: "this server must be started anew",
    });
  },
);
