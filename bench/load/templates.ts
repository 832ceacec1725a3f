import { encode } from "@msgpack/msgpack";
import { ACK_TOKEN_BYTES, TOKEN_BYTES } from "./token.ts";

/**
 * How to speak to a server. In frames and in the query, `{room}`, `{name}` and `{index}` stand for the connection's
 * room, a name of fixed width and its number in the run; in `send`, `{text}` and `{id}` for the message and its
 * idempotency key. With `encoding: "msgpack"` the frames are written as JSON and sent as MessagePack.
 */
export interface Template {
  name: string;
  encoding: "text" | "msgpack";
  /** Appended to the URL. */
  query: string;
  subprotocol: string;
  /** Frames sent before the join, in order, at once. */
  hello: string[];
  /** The join frame; "" if connecting joins. */
  join: string;
  /** The join is sent once a frame begins with this; "" sends it at once. */
  join_after: string;
  /** The connection has joined when a frame contains this; "" if the handshake's end is enough. */
  joined: string;
  send: string;
  /** Whether the sender gets a frame with `{id}` that is not a delivery. */
  acks: boolean;
  /** A frame that is neither delivery nor ack and contains this is reported; "" for none. */
  error_marker: string;
  /** Frames that are answered, exact text → answer (for servers with pings of their own). */
  answers: Record<string, string>;
}

const CHAT: Omit<Template, "name" | "encoding" | "subprotocol"> = {
  query: "name={name}",
  hello: [],
  join: '{"action":"join_room","room":"{room}"}',
  join_after: "",
  joined: "room_joined",
  send: '{"action":"send_message","room":"{room}","id":"{id}","text":"{text}"}',
  acks: true,
  error_marker: "error",
  answers: {},
};

const BARE: Template = {
  name: "bare",
  encoding: "text",
  subprotocol: "",
  query: "room={room}&name={name}",
  hello: [],
  join: "",
  join_after: "",
  joined: "",
  // As long as what roomcast delivers: this server sends on the same bytes.
  send:
    '{"action":"receive_message","room":"{room}","seq":100000,"from":"{name}","user":"guest:0123456789abcdef",' +
    '"text":"{text}","ts":1700000000000,"id":"{id}"}',
  acks: false,
  error_marker: "",
  answers: {},
};

/** Servers the generator knows by name. */
export const TEMPLATES: Record<string, Template> = {
  "roomcast-json": {
    ...CHAT,
    name: "roomcast-json",
    encoding: "text",
    subprotocol: "roomcast.v1.json",
  },
  "roomcast-msgpack": {
    ...CHAT,
    name: "roomcast-msgpack",
    encoding: "msgpack",
    subprotocol: "roomcast.v1.msgpack",
  },
  "roomcast-text": {
    ...CHAT,
    name: "roomcast-text",
    encoding: "text",
    subprotocol: "roomcast.v1.text",
    query: "name={name}&room={room}",
    join: "",
    joined: "You are connected",
    send: "{text}",
    acks: false,
    error_marker: "!",
  },
  bare: BARE,
  "bare-json": { ...BARE, name: "bare-json", send: CHAT.send },
  ws: { ...BARE, name: "ws", send: CHAT.send, acks: true },
  socketio: {
    ...BARE,
    name: "socketio",
    query: "EIO=4&transport=websocket",
    hello: ["40"],
    join: '42["join_room",{"room":"{room}","name":"{name}"}]',
    // Events that come before the namespace is joined end the connection.
    join_after: "40",
    joined: "room_joined",
    send: '42["send_message",{"room":"{room}","id":"{id}","text":"{text}"}]',
    acks: true,
    answers: { "2": "3" },
  },
  centrifugo: {
    ...BARE,
    name: "centrifugo",
    query: "",
    hello: ['{"id":1,"connect":{"name":"{name}"}}'],
    join: '{"id":2,"subscribe":{"channel":"{room}"}}',
    joined: '"subscribe"',
    // Its answer to a publish carries the command's number only: there is no ack to match.
    send: '{"id":3,"publish":{"channel":"{room}","data":{"text":"{text}","id":"{id}"}}}',
    error_marker: '"error"',
    answers: { "{}": "{}" },
  },
};

export interface Names {
  room: string;
  name: string;
  index: number;
}

export function fill(pattern: string, names: Names): string {
  return pattern
    .replaceAll("{room}", names.room)
    .replaceAll("{name}", names.name)
    .replaceAll("{index}", String(names.index));
}

/** A frame's payload: the text's UTF-8, or the MessagePack of the JSON it holds (SyntaxError if it holds none). */
export function payload(template: Template, text: string): Uint8Array {
  return template.encoding === "msgpack"
    ? encode(JSON.parse(text))
    : Buffer.from(text);
}

/** The text of a send, `{text}` filled with `token` padded to `text_bytes`. */
export function sendText(
  template: Template,
  names: Names,
  token: string,
  ackToken: string,
  text_bytes: number,
): string {
  const text = token.padEnd(text_bytes, "x");
  return fill(template.send, names)
    .replaceAll("{id}", ackToken)
    .replaceAll("{text}", text);
}

/** Throws an Error that says what the template lacks. */
export function checkTemplate(template: Template, text_bytes: number): void {
  if (!template.send.includes("{text}"))
    throw new Error(`template ${template.name}: the send frame needs {text}`);
  if (template.acks && !template.send.includes("{id}"))
    throw new Error(
      `template ${template.name}: acks need {id} in the send frame`,
    );
  if (text_bytes < TOKEN_BYTES)
    throw new Error(
      `a text of ${text_bytes} bytes cannot hold the ${TOKEN_BYTES}-byte token`,
    );
  const sample = sendText(
    template,
    { room: "r", name: "n", index: 0 },
    "",
    "#".repeat(ACK_TOKEN_BYTES),
    text_bytes,
  );
  payload(template, sample);
}
