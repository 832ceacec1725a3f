import type { Codec, Decoder } from "./codec.ts";
import { ProtocolError } from "./errors.ts";
import type { ServerMessage } from "./messages.ts";
import { quote } from "./validate.ts";

/** Plain lines, for `websocat`, Postman and people: one line per text frame, one room per connection. */

const HELP = [
  "A line is a message to your room.",
  "/join ROOM  go to another room",
  "/who        who is here",
  "/help       this text",
  "//x         sends /x",
].join("\n");

/** Any `ref` marks a reply that somebody typed a command for: the join at connecting stays silent. */
const TYPED = 1;

export class LineDecoder implements Decoder {
  /** @param room the room that lines go to */
  constructor(private room: string) {}

  decode(frame: string | Uint8Array): readonly unknown[] {
    if (typeof frame !== "string")
      throw new ProtocolError(
        "bad_frame",
        "this connection speaks text: text frames only",
      );
    const line = frame.replace(/\r?\n$/, "");
    if (line === "")
      throw new ProtocolError(
        "invalid_field",
        "the line is empty: nothing was sent",
      );
    if (!line.startsWith("/") || line.startsWith("//"))
      return [
        {
          action: "send_message",
          room: this.room,
          text: line.startsWith("//") ? line.slice(1) : line,
        },
      ];
    const command = line.split(/\s/, 1)[0]!;
    switch (command) {
      case "/join":
        return this.join(line.slice("/join".length).trim());
      case "/who":
        return [{ action: "get_members", room: this.room, ref: TYPED }];
      case "/help":
        // `ping` has no other use in text: its reply is the help.
        return [{ action: "ping" }];
      default:
        throw new ProtocolError(
          "unknown_action",
          `there is no command ${quote(command)}; /help lists them`,
        );
    }
  }

  private join(room: string): readonly unknown[] {
    if (room === "")
      throw new ProtocolError(
        "invalid_field",
        "/join needs a room: /join ROOM",
      );
    return [{ action: "join_room", room, ref: TYPED }];
  }

  /** Not before: where a join is refused, the connection stays where it is. */
  moved(room: string): void {
    this.room = room;
  }
}

export const text: Codec = {
  name: "text",
  index: 2,
  encode: (message) => line(message),
  encodeReply: (reply) =>
    reply.action === "room_joined" && reply.ref === TYPED
      ? `You are in ${reply.room}. There are ${reply.count} users in this room.`
      : null,
  joinMessages: () => null,
  createDecoder: (room) => new LineDecoder(room),
};

function line(message: ServerMessage): string | null {
  switch (message.action) {
    case "receive_message":
      return `[${display(message.from)}]: ${oneLine(message.text)}`;
    case "welcome":
      return `You are connected! There are ${message.users} users here.`;
    case "members": {
      const names = message.members
        .map((user) => display(user.name))
        .join(", ");
      const more = message.count - message.members.length;
      return `${message.count} users in ${message.room}: ${names}${more > 0 ? ` and ${more} more` : ""}`;
    }
    case "room_left":
      return message.code ? `! ${oneLine(message.message!)}` : null;
    case "error":
      return `! ${oneLine(message.message)}`;
    case "reconnect":
      return restartLine(message.after_ms);
    case "token_expires":
      return `! your token expires in ${Math.ceil(message.after_ms / 1000)} s: come back with a new one`;
    case "pong":
      return HELP;
    default:
      return null;
  }
}

/** Brackets frame the name: a name with brackets of its own could look like somebody else's line. */
export function display(name: string): string {
  return name.replaceAll("[", "(").replaceAll("]", ")");
}

const LINE_BREAK = /\r\n|[\n\r\u0085\u2028\u2029]/g;
const OTHER_CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** A message cannot forge another's line: line breaks are shown as ⏎, other control characters are left out. */
export function oneLine(value: string): string {
  return value.replace(LINE_BREAK, "⏎").replace(OTHER_CONTROL, "");
}

/** What `reconnect` is in words. */
export function restartLine(afterMs: number): string {
  return `! the server restarts: come back in ${Math.ceil(afterMs / 1000)} s`;
}
