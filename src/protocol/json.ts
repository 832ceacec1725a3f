import type { Codec, Decoder, Frame } from "./codec.ts";
import { ProtocolError } from "./errors.ts";

/** One object per text frame. */

const decoder: Decoder = {
  decode(frame) {
    if (typeof frame !== "string")
      throw new ProtocolError(
        "bad_frame",
        "this connection speaks JSON: text frames only",
      );
    try {
      return [JSON.parse(frame)];
    } catch {
      throw new ProtocolError("bad_frame", "the frame is not JSON");
    }
  },
};

export const json: Codec = {
  name: "json",
  index: 0,
  encode: (message) => JSON.stringify(message),
  encodeReply(reply, messages) {
    const head = JSON.stringify(reply);
    return `${head.slice(0, -1)},"messages":[${(messages as string | null) ?? ""}]}`;
  },
  joinMessages: (frames: readonly Frame[]) => frames.join(","),
  createDecoder: () => decoder,
};
