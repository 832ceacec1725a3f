import { MESSAGE_ROUTES } from "./messages.ts";
import { ROOM_ROUTES } from "./rooms.ts";
import type { Route } from "./route.ts";
import { SANCTION_ROUTES } from "./sanctions.ts";
import { USER_ROUTES } from "./users.ts";

/** The whole API. What is not here is not there; openapi.ts tells the same rows. */
export const ROUTES: readonly Route[] = [
  ...ROOM_ROUTES,
  ...MESSAGE_ROUTES,
  ...USER_ROUTES,
  ...SANCTION_ROUTES,
];
