/** `roomcast/client`: what applications import. */
export { RoomcastClient } from "./client.ts";
export { RoomcastError, type ClientErrorCode } from "./errors.ts";
export { Room } from "./room.ts";
export type * from "./types.ts";
