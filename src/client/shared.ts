import type { Room } from "./room.ts";
import type { ClientOptions } from "./types.ts";

/** What a client and its rooms have in common, whatever connection there is. */
export interface Shared {
  readonly options: ClientOptions;
  /** Joined ones, or being joined, by name. */
  readonly rooms: Map<string, Room>;
  /** Sends that wait or are under way, in all rooms. */
  sends: number;
  /** @returns an idempotency key that nobody else has */
  newId(): string;
  /** @returns ms, jittered, but not less than `least` */
  backoff(attempt: number, least?: number): number;
}
