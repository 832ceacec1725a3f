import Type from "typebox";
import { MAX_USER_BYTES } from "./request.ts";

/** The parts of requests and answers. Unknown keys of requests are ignored. */

export const Room = Type.String({ description: "A room's name" });
export const User = Type.String({ description: "A user's id" });

/**
 * What a request gives as a name or a text. Handlers check the rest of it, whose errors say more than a schema's; the document
 * tells it: `x-max-bytes` is a number or an option.
 */
const name = (description: string, most: number | "maxNameBytes") =>
  Type.String({ description, "x-name": true, "x-max-bytes": most });
const GivenUser = name("A user's id", MAX_USER_BYTES);

export const Seq = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "An event's position in its room",
});
export const Time = Type.Integer({
  minimum: 0,
  description: "Milliseconds since 1970",
});
const Count = Type.Integer({ minimum: 0 });
export const Limit = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "More than the server's own limit is cut to it",
});

export const RoomCount = Type.Object({ room: Room, users: Count });

const Next = Type.Union([Type.String(), Type.Null()], {
  description: "Ask with after=next for more; null where there are none",
});

export const RoomList = Type.Object({
  rooms: Type.Array(RoomCount),
  next: Next,
});

export const RoomState = Type.Object({
  room: Room,
  users: Count,
  seq: Seq,
  epoch: Type.String(),
});

export const MemberList = Type.Object({
  count: Type.Integer({ minimum: 0, description: "Of all, on any page" }),
  members: Type.Array(Type.Object({ id: User, name: Type.String() })),
  next: Next,
});

const Message = Type.Object({
  action: Type.Literal("receive_message"),
  room: Room,
  seq: Seq,
  prev: Type.Optional(Seq),
  from: Type.String({ description: "The sender's display name" }),
  user: User,
  text: Type.String(),
  ts: Time,
  id: Type.Optional(Type.String()),
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});

const Deleted = Type.Object(
  {
    action: Type.Literal("message_deleted"),
    room: Room,
    seq: Seq,
    prev: Type.Optional(Seq),
    target: Seq,
    ts: Time,
  },
  {
    description:
      "A message was deleted. In its place `target` is the entry's own `seq`; what tells of the deletion comes later.",
  },
);

export const MessageList = Type.Object({
  epoch: Type.String(),
  messages: Type.Array(Type.Union([Message, Deleted]), {
    description: "Ascending",
  }),
  more: Type.Boolean({
    description: "There is more in the direction that was asked for",
  }),
});

export const NewMessage = Type.Object({
  user: GivenUser,
  from: Type.Optional(
    name(
      "The display name; the user's id where it is left out",
      "maxNameBytes",
    ),
  ),
  text: Type.String({ "x-max-bytes": "maxTextBytes" }),
  data: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: "An object; `x-max-bytes` is for its JSON",
      "x-max-bytes": "maxDataBytes",
    }),
  ),
});

export const Sent = Type.Object({
  room: Room,
  id: Type.Optional(Type.String()),
  seq: Seq,
  epoch: Type.String(),
  ts: Time,
  duplicate: Type.Optional(
    Type.Boolean({ description: "The key was known: nothing was sent" }),
  ),
});

export const UserState = Type.Object({
  user: User,
  online: Type.Boolean(),
  connections: Type.Integer({
    minimum: 0,
    description: "Over NATS, those at another server count as one",
  }),
});

export const Reached = Type.Object({
  connections: Type.Integer({
    minimum: 0,
    description: "How many of the user's connections it was about",
  }),
});

const End = Type.Union([Time, Type.Null()], {
  description: "When it ends, in ms since 1970; null: never",
});

export const NewSanction = Type.Object({
  user: GivenUser,
  seconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 315_360_000,
      description: "How long; for good where it is left out",
    }),
  ),
});

export const Imposed = Type.Object({
  user: User,
  until: End,
  connections: Type.Integer({
    minimum: 0,
    description: "How many of the user's connections it was about",
  }),
});

export const SanctionList = Type.Object({
  users: Type.Array(Type.Object({ user: User, until: End })),
  next: Next,
});

export const MAX_USERS_ASKED = 1000;

export const UserList = Type.Object({
  users: Type.Array(GivenUser, { maxItems: MAX_USERS_ASKED }),
});

export const Online = Type.Object({ online: Type.Array(User) });
