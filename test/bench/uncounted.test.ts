import { expect, test } from "bun:test";
import { ROOMCAST_UNCOUNTED } from "../../bench/peers/roomcast.ts";
import { Client } from "../support/client.ts";
import { sample, scrape } from "../support/metrics.ts";
import { freePort } from "../support/free-port.ts";
import { ServerProcess, TempFolder } from "../support/server.ts";

test("the server without counting passes a conversation and counts nothing of it", async () => {
  using folder = new TempFolder();
  const [bun, ...rest] = ROOMCAST_UNCOUNTED.command({
    port: freePort(),
    folder: folder.path,
    flags: [],
  });
  await using server = await ServerProcess.run([bun!, ...rest], ".");
  using ann = await Client.connect(server.url, "json", "room=r");
  using bob = await Client.connect(server.url, "msgpack", "room=r");
  await ann.nextAction("room_joined");
  await bob.nextAction("room_joined");
  expect(await ann.say("r", "hi")).toMatchObject({ seq: 1 });
  expect(await bob.nextAction("receive_message")).toMatchObject({ text: "hi" });
  const samples = await scrape(server.http);
  for (const name of [
    ...["frames_in_total", "bytes_in_total", "events_in_total"],
    ...["bytes_out_total", 'deliveries_total{format="json"}'],
    ...['encodes_total{format="json"}', "delivery_seconds_count"],
    ...["commit_events_count", "commit_seconds_count"],
    ...["event_loop_delay_seconds_count"],
  ])
    expect(sample(samples, name), name).toBe(0);
  expect(sample(samples, "connections")).toBe(2);
});
