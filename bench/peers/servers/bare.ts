/**
 * The control: what `Bun.serve` costs with nothing around it. `--mode bytes` publishes each message as it came;
 * `--mode json` does a chat server's least work (parse, stamp with seq, time and sender, stringify, publish).
 * `GET /chat?room=R&name=N` upgrades and joins; there are no acks and there is no history.
 *
 *     bun run bench/peers/servers/bare.ts [--port 8080] [--mode bytes|json]
 */
import { parseArgs } from "node:util";

interface Seat {
  room: string;
  name: string;
}

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    mode: { type: "string", default: "bytes" },
  },
});
if (values.mode !== "bytes" && values.mode !== "json")
  throw new Error(`--mode: bytes or json, not ${values.mode}`);
const stamps = values.mode === "json";
const heads = new Map<string, number>();

/** Stamps one request into one delivery. */
function stamped(text: string, seat: Seat): string {
  const request = JSON.parse(text) as { text: string; id?: string };
  const seq = (heads.get(seat.room) ?? 0) + 1;
  heads.set(seat.room, seq);
  return JSON.stringify({
    action: "receive_message",
    room: seat.room,
    seq,
    from: seat.name,
    user: "guest:0123456789abcdef",
    text: request.text,
    ts: Date.now(),
    id: request.id,
  });
}

const server = Bun.serve({
  hostname: "0.0.0.0",
  port: Number(values.port),
  fetch(request, listener) {
    const query = new URL(request.url).searchParams;
    const data: Seat = {
      room: query.get("room") ?? "general",
      name: query.get("name") ?? "user",
    };
    return listener.upgrade(request, { data })
      ? undefined
      : new Response("bare", { status: 426 });
  },
  websocket: {
    data: {} as Seat,
    perMessageDeflate: false,
    backpressureLimit: 16 * 1024 * 1024,
    idleTimeout: 120,
    open(ws) {
      ws.subscribe(ws.data.room);
    },
    message(ws, message) {
      server.publish(
        ws.data.room,
        stamps ? stamped(String(message), ws.data) : message,
      );
    },
  },
});
console.log(
  `bare (${values.mode}) listening on port ${server.port}, pid ${process.pid}`,
);
