import Type from "typebox";
import { route } from "./route.ts";
import { Limit, MemberList, RoomList, RoomState } from "./schemas.ts";

const MAX_ROOMS_LISTED = 1000;
const ROOMS_LISTED = 100;
const MAX_MEMBERS_LISTED = 1000;
const MEMBERS_LISTED = 200;

export const ROOM_ROUTES = [
  route({
    method: "GET",
    path: "/rooms",
    name: "listRooms",
    summary: "Rooms with users in them, in the order of their names",
    query: Type.Object({
      after: Type.Optional(
        Type.String({ description: "Rooms behind this name" }),
      ),
      limit: Type.Optional(Limit),
    }),
    answers: { 200: { description: "Some rooms", schema: RoomList } },
    async run({ roster }, { query: { after = "", limit = ROOMS_LISTED } }) {
      const most = Math.min(limit, MAX_ROOMS_LISTED);
      const rooms = await roster.rooms(after, most + 1);
      const shown = rooms.slice(0, most);
      const next = rooms.length > most ? shown.at(-1)!.room : null;
      return { status: 200, body: { rooms: shown, next } };
    },
  }),

  route({
    method: "GET",
    path: "/rooms/{room}",
    name: "getRoom",
    summary: "How many users are in a room, and where its log ends",
    description: "A room that was never used is like an empty one.",
    answers: { 200: { description: "The room", schema: RoomState } },
    async run({ roster, read, epoch }, { params }) {
      const room = params.room!;
      const { count } = await roster.membersAfter(room, "", 0);
      const { events } = await read(room, {
        after: 0,
        upto: Number.MAX_SAFE_INTEGER,
        take: "latest",
        limit: 1,
        bytes: 1,
      });
      const seq = events[0]?.seq ?? 0;
      return { status: 200, body: { room, users: count, seq, epoch } };
    },
  }),

  route({
    method: "GET",
    path: "/rooms/{room}/members",
    name: "listMembers",
    summary: "The users in a room, in the order of their ids",
    query: Type.Object({
      after: Type.Optional(
        Type.String({ description: "Users behind this id" }),
      ),
      limit: Type.Optional(Limit),
    }),
    answers: { 200: { description: "The users", schema: MemberList } },
    async run({ roster }, { params, query }) {
      const { after = "", limit = MEMBERS_LISTED } = query;
      const most = Math.min(limit, MAX_MEMBERS_LISTED);
      const found = await roster.membersAfter(params.room!, after, most + 1);
      const members = found.members.slice(0, most);
      const next = found.members.length > most ? members.at(-1)!.id : null;
      return { status: 200, body: { count: found.count, members, next } };
    },
  }),
];
