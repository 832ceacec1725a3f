import { MAX_ROOM_BYTES, nameProblem } from "../text/limits.ts";

/** The room is in the page's address, `/#general`: it can be given to others, and the browser's history works. */
export function addressOfRoom(room: string): string {
  return `#${encodeURIComponent(room)}`;
}

/** @returns the room that the address names, or undefined where it names none that could be */
export function roomOfAddress(): string | undefined {
  try {
    const room = decodeURIComponent(location.hash.slice(1));
    return room !== "" && !nameProblem(room, MAX_ROOM_BYTES) ? room : undefined;
  } catch {
    return undefined;
  }
}
