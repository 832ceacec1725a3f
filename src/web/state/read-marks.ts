import type { Position } from "../../protocol/messages.ts";
import type { RoomState } from "./room.ts";
import type { SettingsStore } from "./settings.ts";

/** While somebody reads along, marks are written no more often. */
const SAVE_MS = 1_000;

/** Up to where each room was read, from one visit to the next. */
export class ReadMarks {
  #unsaved = new Map<string, Position>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly settings: SettingsStore) {}

  /** @returns the seq of an earlier visit; undefined where there was none, or under another epoch */
  of(room: RoomState): number | undefined {
    const saved = this.settings.current.rooms.find(
      ({ name }) => name === room.name,
    )?.read;
    return saved && saved.epoch === room.room?.position?.epoch
      ? saved.seq
      : undefined;
  }

  /** Remembers `room.read`, soon. */
  remember(room: RoomState): void {
    const epoch = room.room?.position?.epoch;
    if (epoch === undefined || room.read === room.remembered) return;
    room.remembered = room.read;
    this.#unsaved.set(room.name, { epoch, seq: room.read! });
    this.#timer ??= setTimeout(() => this.save(), SAVE_MS);
  }

  /** Now: the page may be about to go. */
  save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unsaved.size > 0) this.settings.saveRead(this.#unsaved);
    this.#unsaved.clear();
  }
}
