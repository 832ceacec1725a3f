import Type from "typebox";
import { firstAfter } from "../collections/first-after.ts";
import { FOR_GOOD, type SanctionKind } from "../data/sanctions-file.ts";
import { checkName, quote } from "../protocol/validate.ts";
import { ApiError } from "./answer.ts";
import { MAX_USER_BYTES } from "./request.ts";
import { route, type Route } from "./route.ts";
import { Imposed, Limit, NewSanction, SanctionList } from "./schemas.ts";

const SANCTIONS_LISTED = 100;
const MAX_SANCTIONS_LISTED = 1000;

const endOf = (until: number): number | null =>
  until === FOR_GOOD ? null : until;

interface Scope {
  readonly kind: SanctionKind;
  /** Where its routes are. */
  readonly path: string;
  /** In the names of operations. */
  readonly name: string;
  readonly where: string;
  readonly effect: string;
}

const SCOPES: readonly Scope[] = [
  {
    kind: "ban",
    path: "/bans",
    name: "Ban",
    where: "everywhere",
    effect:
      "The user's connections are closed with code 4021, and upgrades are refused with 403.",
  },
  {
    kind: "ban",
    path: "/rooms/{room}/bans",
    name: "RoomBan",
    where: "from a room",
    effect:
      "The user's connections leave the room and are told so, and joins are refused with `banned`.",
  },
  {
    kind: "mute",
    path: "/mutes",
    name: "Mute",
    where: "everywhere",
    effect: "Messages of the user are refused with `muted`.",
  },
  {
    kind: "mute",
    path: "/rooms/{room}/mutes",
    name: "RoomMute",
    where: "in a room",
    effect: "Messages of the user to the room are refused with `muted`.",
  },
];

function routesOf({ kind, path, name, where, effect }: Scope): Route[] {
  const moderators = path.startsWith("/rooms/{room}/");
  return [
    route({
      method: "GET",
      path,
      name: `list${name}s`,
      summary: `Users who are ${kind === "ban" ? "banned" : "muted"} ${where}`,
      query: Type.Object({
        after: Type.Optional(
          Type.String({ description: "Users behind this one" }),
        ),
        limit: Type.Optional(Limit),
      }),
      moderators,
      answers: { 200: { description: "Some of them", schema: SanctionList } },
      run({ sanctions }, { params, query }) {
        const { after = "", limit = SANCTIONS_LISTED } = query;
        const { room = "" } = params;
        const now = Date.now();
        const most = Math.min(limit, MAX_SANCTIONS_LISTED);
        const wanted = [...sanctions.list.all()].filter(
          (s) => s.kind === kind && s.room === room && s.until > now,
        );
        const found = firstAfter(wanted, (s) => s.user, after, most + 1);
        const shown = found.slice(0, most);
        const next = found.length > most ? shown.at(-1)!.user : null;
        const users = shown.map(({ user, until }) => ({
          user,
          until: endOf(until),
        }));
        return { status: 200, body: { users, next } };
      },
    }),

    route({
      method: "POST",
      path,
      name: `impose${name}`,
      summary: `${kind === "ban" ? "Bans" : "Mutes"} a user ${where}`,
      description: `${effect} It takes the place of an earlier one.`,
      body: NewSanction,
      moderators,
      answers: { 200: { description: "It holds", schema: Imposed } },
      fails: [409, 504],
      async run({ sanctions }, { params, body: { user, seconds } }) {
        checkName("user", user, MAX_USER_BYTES);
        const { room = "" } = params;
        const until =
          seconds === undefined ? FOR_GOOD : Date.now() + seconds * 1000;
        const connections = await sanctions.impose({ kind, user, room, until });
        return {
          status: 200,
          body: { user, until: endOf(until), connections },
        };
      },
    }),

    route({
      method: "DELETE",
      path: `${path}/{user}`,
      name: `lift${name}`,
      summary: `Lifts a ${kind} ${where === "everywhere" ? "that holds everywhere" : where}`,
      moderators,
      answers: { 204: { description: "It is lifted" } },
      fails: [404, 504],
      async run({ sanctions }, { params }) {
        const { room = "", user } = params;
        if (!(await sanctions.lift({ kind, user: user!, room })))
          throw new ApiError(
            404,
            "not_found",
            `there is no such ${kind} of ${quote(user!)}`,
          );
        return { status: 204 };
      },
    }),
  ];
}

export const SANCTION_ROUTES = SCOPES.flatMap(routesOf);
