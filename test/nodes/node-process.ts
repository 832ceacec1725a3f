import type { Place } from "../../src/gateway/directory.ts";
import { TestNode } from "./support.ts";

/** A node in a process of its own, that does what its parent says: one line for each command, answered by one. */
const [urls, prefix] = process.argv.slice(2);
const node = await TestNode.open(urls!, prefix!);
const places = new Map<string, Place[]>();
console.log("ready");

for await (const line of console) {
  const [verb, room, id] = JSON.parse(line) as [string, string, string];
  const key = JSON.stringify([room, id]);
  if (verb === "enter")
    places.set(key, [...(places.get(key) ?? []), await node.enter(room, id)]);
  else if (verb === "exit") node.exit(room, places.get(key)!.pop()!);
  console.log(
    verb === "ids" ? JSON.stringify(node.ids(room)) : JSON.stringify("done"),
  );
}
