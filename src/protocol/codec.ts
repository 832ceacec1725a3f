import type { ReplyWithMessages, ServerMessage } from "./messages.ts";

/** What goes to a socket: a string is a text frame, bytes are a binary frame. */
export type Frame = string | Uint8Array;

/**
 * Bytes ↔ protocol objects. A connection chooses its codec once, when it is opened.
 *
 * `encode` is pure, so that one event is encoded once for all connections of a codec. What a format must remember of a
 * connection (the text format's room) lives in its decoder.
 */
export interface Codec {
  readonly name: CodecName;
  /** Position in `CODECS`, for arrays that hold one frame for each codec. */
  readonly index: number;
  /** @returns the frame, or null where this format does not show the message */
  encode(message: ServerMessage): Frame | null;
  /**
   * A reply whose `messages` are events already encoded by this codec.
   * @returns the frame, or null where this format does not show the reply
   */
  encodeReply(reply: ReplyWithMessages, messages: Frame | null): Frame | null;
  /** Joins encoded events to what `encodeReply` takes as `messages`. */
  joinMessages(frames: readonly Frame[]): Frame | null;
  /** @param room where a format without a `room` in its frames sends messages */
  createDecoder(room: string): Decoder;
}

export interface Decoder {
  /**
   * @param frame a text frame as string, a binary frame as bytes
   * @returns the requests in it, not yet validated: for most formats one
   * @throws ProtocolError bad_frame
   */
  decode(frame: string | Uint8Array): readonly unknown[];
  /** Only where a connection is in one room at a time: it has joined another one, and leaves those before. */
  moved?(room: string): void;
}

export const CODEC_NAMES = ["json", "msgpack", "text"] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

export const SUBPROTOCOL_PREFIX = "roomcast.v1.";
