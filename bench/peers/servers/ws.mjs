/**
 * A chat server of Node and `ws`, as one would write it for speed: no compression, one stringify and one Buffer per
 * message. `GET /chat?room=R&name=N` upgrades and joins. Plain JavaScript, because Node 20 runs no TypeScript.
 *
 *     node bench/peers/servers/ws.mjs PORT
 */
import { WebSocket, WebSocketServer } from "ws";

const rooms = new Map();

function roomNamed(name) {
  let room = rooms.get(name);
  if (room === undefined)
    rooms.set(name, (room = { head: 0, members: new Set() }));
  return room;
}

const server = new WebSocketServer({
  host: "0.0.0.0",
  port: Number(process.argv[2]),
  perMessageDeflate: false,
  backlog: 4096,
});

server.on("connection", (socket, request) => {
  const query = new URL(request.url, "http://localhost").searchParams;
  const name = query.get("name") ?? "user";
  const roomName = query.get("room") ?? "general";
  const room = roomNamed(roomName);
  room.members.add(socket);
  socket.on("message", (frame) => {
    const { text, id } = JSON.parse(frame.toString());
    const seq = ++room.head;
    const ts = Date.now();
    const bytes = Buffer.from(
      JSON.stringify({
        action: "receive_message",
        room: roomName,
        seq,
        from: name,
        user: "guest:0123456789abcdef",
        text,
        ts,
        id,
      }),
    );
    for (const member of room.members)
      if (member.readyState === WebSocket.OPEN)
        member.send(bytes, { binary: false });
    socket.send(
      JSON.stringify({ action: "message_sent", room: roomName, id, seq, ts }),
    );
  });
  socket.on("close", () => room.members.delete(socket));
  socket.on("error", () => socket.terminate());
});
