import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Codec } from "../../src/protocol/codec.ts";
import type {
  ReceiveMessage,
  ReplyWithMessages,
} from "../../src/protocol/messages.ts";
import { anyEvent } from "./arbitraries.ts";

const REPLIES: readonly ReplyWithMessages[] = [
  {
    action: "room_joined",
    ref: 4294967295,
    room: "größe",
    epoch: "e1",
    seq: Number.MAX_SAFE_INTEGER,
    recovered: true,
    more: false,
    count: 3,
  },
  {
    action: "room_joined",
    ref: undefined,
    room: "general",
    epoch: "",
    seq: 0,
    recovered: false,
    more: false,
    count: 0,
  },
  { action: "history", ref: 0, room: '"}', epoch: "e1", more: true },
  { action: "history", room: "general", epoch: "e1", more: false },
];

/** What a reply must be once it is decoded: its own keys that are defined, and the messages. */
function whole(
  reply: ReplyWithMessages,
  messages: readonly ReceiveMessage[],
): unknown {
  return JSON.parse(JSON.stringify({ ...reply, messages }));
}

/** What holds of every format that shows replies. */
export function describeReplies(
  codec: Codec,
  decode: (frame: string | Uint8Array) => unknown,
): void {
  const encodeReply = (
    reply: ReplyWithMessages,
    messages: readonly ReceiveMessage[],
  ) =>
    codec.encodeReply(
      reply,
      codec.joinMessages(messages.map((message) => codec.encode(message)!)),
    )!;
  const messages = fc.sample(anyEvent, { numRuns: 500, seed: 1 });

  describe.each(REPLIES.map((reply) => [reply.action, reply] as const))(
    "%s",
    (_, reply) => {
      test.each([0, 1, 15, 16, 500])("carries %d messages", (count) => {
        const some = messages.slice(0, count);
        expect(decode(encodeReply(reply, some))).toStrictEqual(
          whole(reply, some),
        );
      });

      test("without any messages has an empty list", () => {
        expect(decode(codec.encodeReply(reply, null)!)).toStrictEqual(
          whole(reply, []),
        );
      });
    },
  );

  test("a reply carries whatever events hold", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...REPLIES),
        fc.array(anyEvent, { maxLength: 20 }),
        (reply, some) => {
          expect(decode(encodeReply(reply, some))).toStrictEqual(
            whole(reply, some),
          );
        },
      ),
    );
  });

  test("an encoded reply is not changed by what is encoded after it", () => {
    const first = encodeReply(REPLIES[0]!, messages.slice(0, 3));
    encodeReply(REPLIES[3]!, messages.slice(3, 9));
    expect(decode(first)).toStrictEqual(
      whole(REPLIES[0]!, messages.slice(0, 3)),
    );
  });
}
