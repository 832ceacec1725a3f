import { describe, expect, test } from "bun:test";
import {
  SettingsStore,
  type KeyValueStorage,
} from "../../../src/web/state/settings.ts";

/** Two methods of `localStorage` over a map. */
function storage(map = new Map<string, string>()): KeyValueStorage {
  return {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, value),
  };
}

const blocked: KeyValueStorage = {
  getItem: () => {
    throw new Error("blocked");
  },
  setItem: () => {
    throw new Error("blocked");
  },
};

describe("settings", () => {
  test("come back", () => {
    const store = storage();
    const settings = new SettingsStore(store);
    settings.update((s) => ({ ...s, name: "Ann", theme: "dark" }));
    settings.saveRoom("general");
    settings.saveRoom("general");
    settings.saveRoom("tea");
    settings.saveRead(new Map([["tea", { epoch: "E", seq: 5 }]]));
    expect(new SettingsStore(store).current).toEqual({
      name: "Ann",
      session: undefined,
      active: undefined,
      theme: "dark",
      format: "json",
      rooms: [
        { name: "general", read: undefined },
        { name: "tea", read: { epoch: "E", seq: 5 } },
      ],
    });
  });

  test.each([
    ["blocked", blocked],
    ["missing", undefined],
  ])("last as long as the page where storage is %s", (_, store) => {
    const settings = new SettingsStore(store);
    settings.update((s) => ({ ...s, name: "Ann" }));
    settings.saveRoom("general");
    settings.saveRoom("tea");
    settings.forgetRoom("general");
    expect(settings.current.name).toBe("Ann");
    expect(settings.current.rooms.map(({ name }) => name)).toEqual(["tea"]);
  });

  test("two tabs do not undo each other's rooms", () => {
    const store = storage();
    const one = new SettingsStore(store);
    const other = new SettingsStore(store);
    one.saveRoom("general");
    other.saveRoom("tea");
    one.saveRoom("ops");
    expect(one.current.rooms.map(({ name }) => name)).toEqual([
      "general",
      "tea",
      "ops",
    ]);
  });

  test("what was read does not become unread through another tab", () => {
    const settings = new SettingsStore(storage());
    settings.saveRoom("tea");
    const read = (epoch: string, seq: number) => {
      settings.saveRead(new Map([["tea", { epoch, seq }]]));
      return settings.current.rooms[0]!.read;
    };
    expect(read("E", 9)).toEqual({ epoch: "E", seq: 9 });
    expect(read("E", 4)).toEqual({ epoch: "E", seq: 9 });
    expect(read("F", 1)).toEqual({ epoch: "F", seq: 1 });
  });

  test.each([
    "not json",
    "null",
    "7",
    "[]",
    '{"rooms":7,"name":{"a":1},"theme":"red","format":"xml"}',
    '{"rooms":[null,7,{"name":5},{"name":"","read":1}]}',
    JSON.stringify({ name: "x".repeat(2_001) }),
  ])("take nothing of a wrong shape: %.60s", (stored) => {
    const settings = new SettingsStore(
      storage(new Map([["roomcast", stored]])),
    );
    expect(settings.current).toMatchObject({
      rooms: [],
      theme: "system",
      format: "json",
    });
    expect(settings.current.name).toBeUndefined();
  });

  test("hold only so many rooms", () => {
    const settings = new SettingsStore(storage());
    for (let i = 0; i < 300; i++) settings.saveRoom(`room ${i}`);
    expect(settings.current.rooms.length).toBe(128);
    expect(settings.current.rooms.at(-1)!.name).toBe("room 299");
  });
});
