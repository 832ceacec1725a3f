import { NatsServers } from "../../test/support/nats.ts";
import { connect, headers } from "@nats-io/transport-node";
import { jetstreamManager, jetstream } from "@nats-io/jetstream";
import { $ } from "bun";
const count = Number(process.argv[2] ?? 1);
await using servers = await NatsServers.start(count);
const nc = await connect({
  servers: servers.urls.split(",").map((u) => u.slice(7)),
});
const jsm = await jetstreamManager(nc);
const js = jetstream(nc);
await jsm.streams.add({
  name: "p-0",
  subjects: ["p.room.0.*"],
  num_replicas: count,
  allow_direct: true,
  duplicate_window: 120e9,
  republish: { src: "p.room.0.*", dest: "p.live.{{wildcard(1)}}" },
} as any);
const info = await jsm.streams.info("p-0");
await jsm.streams.update("p-0", {
  ...info.config,
  subjects: ["p.room.0.*", "p.deleted.0.*.*.*"],
});
const needle = "NEEDLE" + crypto.randomUUID();
await js.publish("p.room.0.a", "one");
await js.publish("p.room.0.a", needle, { msgID: "k" });
for (let i = 0; i < 5; i++) await js.publish("p.room.0.a", "x" + i);
const req = async (s: string, b: object) =>
  JSON.parse((await nc.request(s, JSON.stringify(b))).string());
const stores = servers.servers.map((s) => s.store);
const grep = async () => {
  const r = await $`grep -rlaF ${needle} ${stores}`.nothrow().quiet();
  return r.stdout.toString().trim().split("\n");
};
console.log("before", await grep());
// facts
const fact = async (subj: string, body: string) => {
  const h = headers();
  h.set("Nats-Expected-Last-Subject-Sequence", "0");
  const m = await nc.request(subj, body, { headers: h, timeout: 2000 });
  return m.string();
};
console.log(
  await fact("p.deleted.0.a.2.wanted", "{}"),
  await fact("p.deleted.0.a.2.wanted", "{}"),
);
console.log(
  "both",
  await Promise.all([
    req("$JS.API.STREAM.MSG.DELETE.p-0", { seq: 2 }),
    req("$JS.API.STREAM.MSG.DELETE.p-0", { seq: 2 }),
  ]),
);
console.log(
  "again",
  await req("$JS.API.STREAM.MSG.DELETE.p-0", { seq: 2 }),
  await req("$JS.API.STREAM.MSG.DELETE.p-0", { seq: 999 }),
);
console.log("after", await grep());
await fact("p.deleted.0.a.2.erased", "{}");
await fact("p.deleted.0.b.7.erased", "{}");
const sub = nc.subscribe("inb");
nc.publish(
  "$JS.API.DIRECT.GET.p-0",
  JSON.stringify({ seq: 1, next_by_subj: "p.deleted.0.*.*.erased", batch: 1 }),
  { reply: "inb" },
);
let n = 0;
for await (const m of sub) {
  console.log(m.headers?.toString());
  if (++n == 2) break;
}
console.log(JSON.stringify((await jsm.streams.info("p-0")).state));
console.log(
  "leader none",
  JSON.stringify(
    await req("$JS.API.STREAM.MSG.GET.p-0", {
      seq: 1,
      next_by_subj: "p.deleted.0.zzz.>",
    }),
  ),
);
// probe
const probe = async (id: string, extra: Record<string, string>) => {
  const h = headers();
  h.set("Nats-Msg-Id", id);
  for (const [k, v] of Object.entries(extra)) h.set(k, v);
  return (
    await nc.request("p.room.0.a", "", { headers: h, timeout: 2000 })
  ).string();
};
for (const extra of [
  { "Nats-Expected-Last-Sequence": "9007199254740991" },
  { "Nats-Expected-Last-Msg-Id": "=none" },
  { "Nats-Expected-Last-Subject-Sequence": "9007199254740991" },
]) {
  console.log(
    extra,
    await probe("k", extra),
    await probe("unknown1", extra),
    await probe("unknown1", extra),
  );
}
console.log(JSON.stringify((await jsm.streams.info("p-0")).state));
if (count > 1) {
  for (let i = 0; i < 30; i++) {
    await Bun.sleep(10000);
    const g = await grep();
    console.log(i, g);
    if (g[0] === "") break;
    if (i == 2)
      for (let j = 0; j < 20000; j++)
        js.publish("p.room.0.b", "y".repeat(500)).catch(() => {});
  }
}
await nc.close();
