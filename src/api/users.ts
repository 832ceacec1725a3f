import { checkName } from "../protocol/validate.ts";
import { MAX_USER_BYTES } from "./request.ts";
import { route } from "./route.ts";
import { Online, Reached, UserList, UserState } from "./schemas.ts";

export const USER_ROUTES = [
  route({
    method: "POST",
    path: "/users/online",
    name: "filterOnline",
    summary: "Tells which of some users are online",
    body: UserList,
    answers: { 200: { description: "Those online", schema: Online } },
    async run({ roster }, { body: { users } }) {
      for (const [i, user] of users.entries())
        checkName(`users.${i}`, user, MAX_USER_BYTES);
      const connections = await Promise.all(
        users.map((user) => roster.connections(user)),
      );
      const online = users.filter((_, i) => connections[i]! > 0);
      return { status: 200, body: { online } };
    },
  }),

  route({
    method: "GET",
    path: "/users/{user}",
    name: "getUser",
    summary: "Tells whether a user is online, and how often",
    answers: { 200: { description: "The user", schema: UserState } },
    async run({ roster }, { params }) {
      const user = params.user!;
      const connections = await roster.connections(user);
      const online = connections > 0;
      return { status: 200, body: { user, online, connections } };
    },
  }),

  route({
    method: "DELETE",
    path: "/users/{user}/connections",
    name: "disconnectUser",
    summary: "Closes all connections of a user",
    description:
      "With code 4020, after which clients do not come back by themselves. Nothing keeps the user from connecting again: see bans.",
    answers: { 200: { description: "They are closed", schema: Reached } },
    fails: [504],
    async run({ reach }, { params }) {
      const user = params.user!;
      const connections = await reach.carryOut({ act: "disconnect", user });
      return { status: 200, body: { connections } };
    },
  }),

  route({
    method: "DELETE",
    path: "/rooms/{room}/members/{user}",
    name: "removeMember",
    summary: "Takes a user out of a room",
    description:
      "Each of the user's connections leaves the room and is told so. Nothing keeps the user from joining again: see bans.",
    moderators: true,
    answers: { 200: { description: "They are out", schema: Reached } },
    fails: [504],
    async run({ reach }, { params }) {
      const [user, room] = [params.user!, params.room!];
      const connections = await reach.carryOut({ act: "remove", user, room });
      return { status: 200, body: { connections } };
    },
  }),
];
