import { checkName } from "../protocol/validate.ts";
import { MAX_USER_BYTES } from "./request.ts";
import { route } from "./route.ts";
import { Online, UserList, UserState } from "./schemas.ts";

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
];
