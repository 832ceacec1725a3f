import { RoomcastError, type ClientErrorCode } from "../../client/index.ts";

const PLAIN: Partial<Record<ClientErrorCode, string>> = {
  timeout: "The server did not answer in time.",
  queue_full: "Too many messages wait already.",
  closed: "The connection was closed.",
  left: "You have left this room.",
  rate_limited: "Too many messages in too little time.",
  overloaded: "The room receives more than it can carry right now.",
  unavailable: "The server could not store it.",
  outcome_unknown: "It is not known whether it arrived.",
  too_many_rooms: "You are in as many rooms as the server allows.",
  too_large: "It is too long for this server.",
};

/** A failure as a sentence for people. */
export function explain(error: unknown): string {
  if (!(error instanceof RoomcastError)) return String(error);
  return PLAIN[error.code] ?? sentence(error.message);
}

/** "room is missing" → "Room is missing." */
export function sentence(message: string): string {
  const start = message.slice(0, 1).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
