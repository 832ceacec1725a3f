import Type from "typebox";
import { FOR_GOOD } from "../data/sanctions-file.ts";
import { toMessage } from "../gateway/entry.ts";
import type { Sanctions } from "../gateway/sanctions.ts";
import { ProtocolError } from "../protocol/errors.ts";
import {
  checkData,
  checkName,
  checkText,
  quote,
} from "../protocol/validate.ts";
import { ApiError } from "./answer.ts";
import { MAX_USER_BYTES } from "./request.ts";
import { route } from "./route.ts";
import { Limit, MessageList, NewMessage, Sent, Seq } from "./schemas.ts";

const OVERLOADED_RETRY_MS = 1000;

/** @throws ProtocolError the user may not send there, and until when */
function checkSanctions(list: Sanctions, user: string, room: string): void {
  const now = Date.now();
  for (const kind of ["ban", "mute"] as const) {
    const until = Math.max(
      list.until(kind, user, ""),
      list.until(kind, user, room),
    );
    if (until <= now) continue;
    const forGood = until === FOR_GOOD;
    const end = forGood ? "" : ` until ${new Date(until).toISOString()}`;
    throw new ProtocolError(
      kind === "ban" ? "banned" : "muted",
      `user ${quote(user)} may not send to room ${quote(room)}${end}`,
      forGood ? undefined : until - now,
    );
  }
}

export const MESSAGE_ROUTES = [
  route({
    method: "GET",
    path: "/rooms/{room}/messages",
    name: "listMessages",
    summary: "A room's history",
    description:
      "The latest messages; with `before`, the latest of those with a smaller seq; with `after`, the oldest of those with a larger one.",
    query: Type.Object({
      before: Type.Optional(Seq),
      after: Type.Optional(Seq),
      limit: Type.Optional(Limit),
    }),
    answers: { 200: { description: "Some messages", schema: MessageList } },
    async run({ config, read, epoch }, { params, query }) {
      const { before, after, limit = Infinity } = query;
      if (before !== undefined && after !== undefined)
        throw new ApiError(
          400,
          "invalid_field",
          "before and after cannot both be given",
        );
      const { events, more } = await read(params.room!, {
        after: after ?? 0,
        upto: before === undefined ? Number.MAX_SAFE_INTEGER : before - 1,
        take: after === undefined ? "latest" : "oldest",
        limit: Math.min(limit, config.maxHistoryPerReply),
        bytes: config.maxReplyBytes,
      });
      const messages = events.map(toMessage);
      return { status: 200, body: { epoch, messages, more } };
    },
  }),

  route({
    method: "POST",
    path: "/rooms/{room}/messages",
    name: "sendMessage",
    summary: "Sends a message as a user",
    description:
      "The user need not be there. With an `Idempotency-Key` a request can be repeated: the same user's same key in the same room sends once.",
    body: NewMessage,
    idempotencyKey: true,
    answers: {
      200: {
        description: "It was sent already, by a request with the same key",
        schema: Sent,
      },
      201: { description: "Stored, and on its way", schema: Sent },
    },
    fails: [403, 503, 504],
    async run(ports, { params, body, idempotencyKey: id }) {
      const { config, epoch } = ports;
      const room = params.room!;
      const { user, from = user, text, data } = body;
      checkName("user", user, MAX_USER_BYTES);
      checkName(
        "from",
        from,
        body.from === undefined ? MAX_USER_BYTES : config.maxNameBytes,
      );
      checkText(text, config.maxTextBytes);
      const dataJson =
        data === undefined ? undefined : checkData(data, config.maxDataBytes);
      const draft = { room, user, from, text, id, data, dataJson };
      // What is stored needs nobody's leave any more: to refuse it would tell the caller that it is not.
      const repeated = ports.repeat(draft);
      if (!repeated) checkSanctions(ports.sanctions.list, user, room);
      if (!repeated && ports.overloaded(room))
        throw new ProtocolError(
          "overloaded",
          `room ${quote(room)} receives more than it can pass on`,
          OVERLOADED_RETRY_MS,
        );
      const { seq, ts, duplicate } = await (repeated ?? ports.publish(draft));
      return duplicate
        ? { status: 200, body: { room, id, seq, epoch, ts, duplicate } }
        : { status: 201, body: { room, id, seq, epoch, ts } };
    },
  }),

  route({
    method: "DELETE",
    path: "/rooms/{room}/messages/{seq}",
    name: "deleteMessage",
    summary: "Deletes a message",
    description:
      "Its text and data go from memory at once, and from the disk with the next move of the log (seconds); over NATS the stream has overwritten them before the answer. Who is in the room is told by an event `message_deleted`; who reads later finds one in the message's place. Deleting it again changes nothing; after 503 or 504 it brings what was begun to its end.",
    moderators: true,
    answers: { 204: { description: "It is deleted" } },
    fails: [404, 504],
    async run({ delete: remove }, { params }) {
      const [room, seq] = [params.room!, Number(params.seq)];
      if ((await remove(room, seq)) === "missing")
        throw new ApiError(
          404,
          "not_found",
          `room ${quote(room)} has no message ${seq}`,
        );
      return { status: 204 };
    },
  }),
];
