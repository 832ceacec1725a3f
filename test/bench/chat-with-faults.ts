import { decode, encode } from "@msgpack/msgpack";

/** Every n-th delivery to a connection suffers; 0 is never. */
export interface Faults {
  lose: number;
  double: number;
  /** Held back and sent after the next one. */
  reorder: number;
  /** The connection of this name is closed after ten deliveries. */
  hang_up_on?: string;
}

export const NO_FAULTS: Faults = { lose: 0, double: 0, reorder: 0 };

interface Seat {
  msgpack: boolean;
  name: string;
  room: string;
  count: number;
  held: object | null;
}

type Request = { action: string; room: string; text?: string; id?: string };

type Members = Map<string, Set<Bun.ServerWebSocket<Seat>>>;

/**
 * A small chat server on a free port, of roomcast's wire contract, that can spoil deliveries on purpose.
 * @param members the same map makes several of them act as one
 */
export function chatWithFaults(faults: Faults, members: Members = new Map()) {
  const tell = (ws: Bun.ServerWebSocket<Seat>, message: object): void => {
    ws.send(ws.data.msgpack ? encode(message) : JSON.stringify(message));
  };
  const hits = (seat: Seat, every: number): boolean =>
    every > 0 && seat.count % every === 0;
  const deliver = (ws: Bun.ServerWebSocket<Seat>, message: object): void => {
    const seat = ws.data;
    seat.count++;
    if (seat.count > 10 && seat.name === faults.hang_up_on) ws.terminate();
    if (hits(seat, faults.lose)) return;
    if (hits(seat, faults.reorder)) {
      seat.held = message;
      return;
    }
    tell(ws, message);
    if (hits(seat, faults.double)) tell(ws, message);
    if (seat.held !== null) tell(ws, seat.held);
    seat.held = null;
  };
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
      const protocol = request.headers.get("sec-websocket-protocol") ?? "";
      const name = new URL(request.url).searchParams.get("name") ?? "user";
      const data: Seat = {
        msgpack: protocol.endsWith("msgpack"),
        name,
        room: "",
        count: 0,
        held: null,
      };
      return server.upgrade(request, { data })
        ? undefined
        : new Response("no", { status: 400 });
    },
    websocket: {
      data: {} as Seat,
      open(ws) {
        tell(ws, { action: "welcome", version: 1 });
        ws.ping("are you there");
      },
      message(ws, frame) {
        const request = (
          typeof frame === "string" ? JSON.parse(frame) : decode(frame)
        ) as Request;
        const { room, text, id } = request;
        if (request.action === "join_room") {
          ws.data.room = room;
          if (!members.has(room)) members.set(room, new Set());
          members.get(room)!.add(ws);
          tell(ws, { action: "room_joined", room });
          return;
        }
        const message = {
          action: "receive_message",
          room,
          seq: 1,
          from: ws.data.name,
          text,
          id,
        };
        for (const member of members.get(room)!) deliver(member, message);
        tell(ws, { action: "message_sent", room, id });
      },
      close(ws) {
        members.get(ws.data.room)?.delete(ws);
      },
    },
  });
}
