import {
  afterAll,
  beforeAll,
  describe,
  expect,
  test,
  setDefaultTimeout,
} from "bun:test";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { BrokerError } from "../../../src/broker/broker.ts";
import { NatsError } from "../../../src/broker/nats/link.ts";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { TempFolder } from "../../support/server.ts";
import { draft, publish } from "../contract.ts";
import { freshPrefix, openBroker } from "./support.ts";

tellSkipped("NATS streams, their settings and lives");
// Servers take seconds to start and to choose leaders. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

async function refusal(opened: Promise<AsyncDisposable>): Promise<string> {
  try {
    await using _ = await opened;
  } catch (error) {
    expect(error).toBeInstanceOf(NatsError);
    return (error as Error).message;
  }
  throw new Error("it was not refused");
}

describe.skipIf(!natsServer)("the streams of an installation", () => {
  let servers: NatsServers;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
    nc = await connect({ servers: servers.urls.slice(7) });
    jsm = await jetstreamManager(nc);
  });
  afterAll(async () => {
    await nc.close();
    await servers[Symbol.asyncDispose]();
  });

  test("are made as they are configured, by many gateways at a time", async () => {
    const prefix = freshPrefix();
    const opened = await Promise.all(
      Array.from({ length: 4 }, () =>
        openBroker(servers, {
          prefix,
          streams: 2,
          retentionMs: 3_600_000,
          retentionEventsPerRoom: 7,
          dedupeWindowMs: 60_000,
        }),
      ),
    );
    expect(new Set(opened.map(({ broker }) => broker.epoch)).size).toBe(1);
    for (const { broker } of opened) await broker.close();
    for (const index of [0, 1])
      expect(
        (await jsm.streams.info(`${prefix}-${index}`)).config,
      ).toMatchObject({
        subjects: [
          `${prefix}.room.${index}.*`,
          `${prefix}.deleted.${index}.*.*.*`,
        ],
        storage: "file",
        max_age: 3_600_000e6,
        max_msgs_per_subject: 7,
        duplicate_window: 60_000e6,
        allow_direct: true,
      });
  });

  test("are changed where that keeps events, and that is told", async () => {
    const prefix = freshPrefix();
    let epoch: string;
    {
      await using under = await openBroker(servers, { prefix });
      epoch = under.broker.epoch;
    }
    await using under = await openBroker(servers, {
      prefix,
      retentionEventsPerRoom: 9,
    });
    expect(under.broker.epoch).toBe(epoch);
    expect(under.told).toEqual([
      `stream ${prefix}-0 changes: max_msgs_per_subject = 9`,
    ]);
    const { config } = await jsm.streams.info(`${prefix}-0`);
    expect(config.max_msgs_per_subject).toBe(9);
  });

  test("of a version that deleted nothing learn to hold notes on deletions", async () => {
    const prefix = freshPrefix();
    await (await openBroker(servers, { prefix })).broker.close();
    const { config } = await jsm.streams.info(`${prefix}-0`);
    const subjects = [`${prefix}.room.0.*`];
    await jsm.streams.update(`${prefix}-0`, { ...config, subjects });
    await using under = await openBroker(servers, { prefix });
    expect(under.told).toHaveLength(1);
    const { seq } = await publish(under.broker, draft("a", "x"), "");
    expect(await under.broker.delete("a", seq)).toBe("deleted");
  });

  test("keep the limits that an operator gave them", async () => {
    const prefix = freshPrefix();
    await (await openBroker(servers, { prefix })).broker.close();
    const { config } = await jsm.streams.info(`${prefix}-0`);
    await jsm.streams.update(`${prefix}-0`, { ...config, max_bytes: 1e8 });
    await (await openBroker(servers, { prefix })).broker.close();
    const after = await jsm.streams.info(`${prefix}-0`);
    expect(after.config.max_bytes).toBe(1e8);
  });

  test("are refused where their number is another", async () => {
    const prefix = freshPrefix();
    await (await openBroker(servers, { prefix, streams: 2 })).broker.close();
    expect(await refusal(openBroker(servers, { prefix, streams: 3 }))).toBe(
      `NATS stream ${prefix}-0 is one of 2: set --nats-streams 2`,
    );
  });

  test("are refused where they are somebody else's", async () => {
    const prefix = freshPrefix();
    await jsm.streams.add({ name: `${prefix}-0`, subjects: [`${prefix}.x`] });
    expect(await refusal(openBroker(servers, { prefix }))).toContain(
      "was not made by roomcast; choose another --nats-prefix",
    );
  });

  test("are refused where they do not republish as they must", async () => {
    const prefix = freshPrefix();
    await (await openBroker(servers, { prefix })).broker.close();
    const { config } = await jsm.streams.info(`${prefix}-0`);
    await jsm.streams.update(`${prefix}-0`, {
      ...config,
      republish: {
        ...config.republish!,
        dest: `${prefix}.other.{{wildcard(1)}}`,
      },
    });
    expect(await refusal(openBroker(servers, { prefix }))).toContain(
      "has other settings",
    );
  });

  test("say so where there are fewer servers than replicas", async () => {
    expect(await refusal(openBroker(servers, { replicas: 3 }))).toContain(
      "cannot be used",
    );
  });

  test("when one is deleted the broker says that it must be started anew, and then has another epoch", async () => {
    const prefix = freshPrefix();
    await using under = await openBroker(servers, { prefix });
    await jsm.streams.delete(`${prefix}-0`);
    expect(await under.ended).toBe(`NATS stream ${prefix}-0 is gone`);
    await using again = await openBroker(servers, { prefix });
    expect(again.broker.epoch).not.toBe(under.broker.epoch);
  });

  test("when one is made anew the broker says so", async () => {
    const prefix = freshPrefix();
    await using under = await openBroker(servers, { prefix });
    await jsm.streams.delete(`${prefix}-0`);
    await using again = await openBroker(servers, { prefix });
    expect(await under.ended).toContain("made anew");
    expect(again.broker.epoch).not.toBe(under.broker.epoch);
  });
});

describe.skipIf(!natsServer)("one life of the store", () => {
  test("goes on over a restart of NATS, with events and ids", async () => {
    await using servers = await NatsServers.start(1);
    const prefix = freshPrefix();
    await using under = await openBroker(servers, { prefix });
    const first = await publish(under.broker, draft("a", "x", { id: "k" }), "");
    await servers.servers[0]!.kill();
    servers.servers[0]!.start();
    await servers.answer();
    await using again = await openBroker(servers, { prefix });
    expect(again.broker.epoch).toBe(under.broker.epoch);
    expect(
      await publish(again.broker, draft("a", "x", { id: "k" }), ""),
    ).toEqual({ ...first, duplicate: true });
  });

  test("ends where an older copy is restored under a running broker", async () => {
    await using servers = await NatsServers.start(1);
    const [server] = servers.servers;
    using copy = new TempFolder();
    const prefix = freshPrefix();
    await using under = await openBroker(servers, { prefix });
    await under.broker.subscribe("a");
    await publish(under.broker, draft("a", "kept"), "");
    await server!.kill();
    cpSync(server!.store, copy.path, { recursive: true });
    server!.start();
    await servers.answer();
    // It may take some tries until the broker has come back.
    while ((await tryPublish(under.broker, "forgotten")) !== "stored")
      await Bun.sleep(50);
    await server!.kill();
    rmSync(server!.store, { recursive: true });
    cpSync(copy.path, server!.store, { recursive: true });
    server!.start();
    expect(await under.ended).toContain("lost its end or was restored");
    await using again = await openBroker(servers, { prefix });
    expect(again.broker.epoch).not.toBe(under.broker.epoch);
  });
});

async function tryPublish(
  broker: Parameters<typeof publish>[0],
  text: string,
): Promise<string> {
  try {
    await publish(broker, draft("a", text, { id: text }), "");
    return "stored";
  } catch (error) {
    return (error as BrokerError).code;
  }
}

describe.skipIf(!natsServer)("how a broker gets in", () => {
  test("says what it cannot reach, without the password", async () => {
    const message = await refusal(
      openBroker({ urls: "nats://me:secret@127.0.0.1:1" }),
    );
    expect(message).toBe(
      "NATS at 127.0.0.1:1 cannot be used: connection refused",
    );
    expect(message).not.toContain("secret");
  });

  test.each(["http://a", "nats://a:b:c"])(
    "refuses the URL %p",
    async (urls) => {
      expect(await refusal(openBroker({ urls }))).toStartWith("--nats:");
    },
  );

  test("with a user's name and password in the URL", async () => {
    await using servers = await NatsServers.start(
      1,
      "authorization { user: ann, password: 'p@ss' }",
      { user: "ann", pass: "p@ss" },
    );
    const at = servers.urls.slice(7);
    await using under = await openBroker({
      urls: `nats://ann:p%40ss@${at}`,
    });
    await publish(under.broker, draft("a", "x"), "");
    expect(
      await refusal(openBroker({ urls: `nats://ann:no@${at}` })),
    ).toContain("Authorization");
  });

  test("with a token in the URL", async () => {
    await using servers = await NatsServers.start(
      1,
      "authorization { token: t0ken }",
      { token: "t0ken" },
    );
    await using under = await openBroker({
      urls: `nats://t0ken@${servers.urls.slice(7)}`,
    });
    await publish(under.broker, draft("a", "x"), "");
  });

  test("says which credentials file it cannot read", async () => {
    expect(
      await refusal(
        openBroker(
          { urls: "nats://127.0.0.1:1" },
          {
            creds: "/nowhere/a.creds",
          },
        ),
      ),
    ).toStartWith("/nowhere/a.creds cannot be read:");
  });

  const openssl = Bun.which("openssl");
  test.skipIf(!openssl)("over TLS, with a CA of its own", async () => {
    using folder = new TempFolder();
    const file = (name: string): string => join(folder.path, name);
    writeFileSync(file("ext"), "subjectAltName=IP:127.0.0.1");
    for (const command of [
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca -keyout ${file("ca.key")} -out ${file("ca.pem")}`,
      `req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=nats -keyout ${file("key")} -out ${file("csr")}`,
      `x509 -req -days 2 -in ${file("csr")} -CA ${file("ca.pem")} -CAkey ${file("ca.key")} -CAcreateserial -extfile ${file("ext")} -out ${file("cert")}`,
    ])
      expect(Bun.spawnSync([openssl!, ...command.split(" ")]).exitCode).toBe(0);
    await using servers = await NatsServers.start(
      1,
      `tls { cert_file: "${file("cert")}", key_file: "${file("key")}" }`,
      { tls: { caFile: file("ca.pem") } },
    );
    const tls = { urls: `tls://${servers.urls.slice(7)}` };
    await using under = await openBroker(tls, { ca: file("ca.pem") });
    await publish(under.broker, draft("a", "x"), "");
    // Another's certificate is not taken.
    expect(await refusal(openBroker(tls))).toContain("cannot be used");
  });
});
