import type { Position } from "../../protocol/messages.ts";

export type Theme = "system" | "light" | "dark";
export type Format = "json" | "msgpack";

export interface SavedRoom {
  readonly name: string;
  /** Of the last message that was read. */
  readonly read?: Position | undefined;
}

/** What the page remembers. */
export interface Settings {
  /** Undefined: never asked. Empty: the server gives one. */
  readonly name?: string | undefined;
  readonly session?: string | undefined;
  readonly rooms: readonly SavedRoom[];
  readonly active?: string | undefined;
  readonly theme: Theme;
  readonly format: Format;
}

/** What is needed of `localStorage`. */
export type KeyValueStorage = Pick<Storage, "getItem" | "setItem">;

const KEY = "roomcast";
const MAX_ROOMS = 128;
const MAX_CHARS = 2_000;

const DEFAULTS: Settings = { rooms: [], theme: "system", format: "json" };

/**
 * Settings in `localStorage`. Where it is blocked or full they last as long as the page. Each change is made on what is stored at
 * that time: other tabs write there too.
 */
export class SettingsStore {
  #current: Settings;

  /** @param storage undefined where there is none */
  constructor(private readonly storage: KeyValueStorage | undefined) {
    this.#current = this.#read() ?? DEFAULTS;
  }

  get current(): Settings {
    return this.#current;
  }

  update(change: (settings: Settings) => Settings): void {
    this.#current = change(this.#read() ?? this.#current);
    try {
      this.storage?.setItem(KEY, JSON.stringify(this.#current));
    } catch {
      // Full, or taken away meanwhile.
    }
  }

  saveRoom(name: string): void {
    this.update((s) =>
      s.rooms.some((room) => room.name === name)
        ? s
        : { ...s, rooms: [...s.rooms, { name }].slice(-MAX_ROOMS) },
    );
  }

  forgetRoom(name: string): void {
    this.update((s) => ({
      ...s,
      rooms: s.rooms.filter((room) => room.name !== name),
    }));
  }

  saveRead(reads: ReadonlyMap<string, Position>): void {
    this.update((s) => ({
      ...s,
      rooms: s.rooms.map((room) => ({
        name: room.name,
        read: later(room.read, reads.get(room.name)),
      })),
    }));
  }

  #read(): Settings | undefined {
    try {
      const stored = this.storage?.getItem(KEY);
      return stored ? valid(JSON.parse(stored)) : undefined;
    } catch {
      return undefined;
    }
  }
}

/** @returns the browser's storage, or undefined where it is blocked: then even reading the property throws */
export function browserStorage(): KeyValueStorage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}

function later(
  a: Position | undefined,
  b: Position | undefined,
): Position | undefined {
  return a && b && a.epoch === b.epoch && a.seq > b.seq ? a : (b ?? a);
}

/** Anybody can write into the storage of an origin: take only what has the right shape. */
function valid(stored: unknown): Settings {
  const s = Object(stored) as Record<string, unknown>;
  const rooms = Array.isArray(s.rooms) ? s.rooms : [];
  return {
    name: text(s.name),
    session: text(s.session),
    active: text(s.active),
    rooms: rooms.slice(0, MAX_ROOMS).flatMap((room) => {
      const { name, read } = Object(room) as Record<string, unknown>;
      const known = text(name);
      return known ? [{ name: known, read: position(read) }] : [];
    }),
    theme: s.theme === "light" || s.theme === "dark" ? s.theme : "system",
    format: s.format === "msgpack" ? "msgpack" : "json",
  };
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value.length <= MAX_CHARS ? value : undefined;

function position(value: unknown): Position | undefined {
  const { epoch, seq } = Object(value) as Record<string, unknown>;
  return typeof epoch === "string" && Number.isSafeInteger(seq)
    ? { epoch, seq: seq as number }
    : undefined;
}
