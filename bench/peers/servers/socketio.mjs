/**
 * A chat server of Node and Socket.IO: WebSocket transport only, no compression, rooms by `join` and `to().emit()`.
 *
 *     node bench/peers/servers/socketio.mjs PORT
 */
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  serveClient: false,
});
const heads = new Map();

io.on("connection", (socket) => {
  let from = "user";
  socket.on("join_room", ({ room, name }) => {
    from = name;
    socket.join(room);
    socket.emit("room_joined", { room });
  });
  socket.on("send_message", ({ room, id, text }) => {
    const seq = (heads.get(room) ?? 0) + 1;
    heads.set(room, seq);
    const ts = Date.now();
    io.to(room).emit("receive_message", {
      room,
      seq,
      from,
      user: "guest:0123456789abcdef",
      text,
      ts,
      id,
    });
    socket.emit("message_sent", { room, id, seq, ts });
  });
});

http.listen({ host: "0.0.0.0", port: Number(process.argv[2]), backlog: 4096 });
