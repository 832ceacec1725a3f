import { expect, test } from "bun:test";
import { checkPlan } from "../../bench/load/plan.ts";
import { checkTemplate } from "../../bench/load/templates.ts";
import { PEERS } from "../../bench/peers/list.ts";
import { FIGURES } from "../../bench/run/figures.ts";
import { loadPlan } from "../../bench/run/measure.ts";
import { unable } from "../../bench/run/rounds.ts";
import { chooseCases } from "../../bench/run/case.ts";
import { scenarios } from "../../bench/scenarios.ts";

const OPEN_FILES = 20_000;
const all = scenarios(OPEN_FILES);
const cases = all.flatMap((one) => one.cases);

test("has every scenario, each with cases, each case once", () => {
  expect(all.map(({ name }) => name).toSorted()).toEqual(
    [
      "fanout",
      "saturate",
      "rooms-small",
      "noisy-neighbour",
      "mixed-formats",
      "connect-storm",
      "resume-storm",
      "slow-consumers",
      "idle",
      "crash",
      "stored",
      "threads",
      "watched",
      "cluster",
    ].toSorted(),
  );
  const ids = cases.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(all.every((one) => one.cases.length > 0)).toBe(true);
});

test("the default run is what its help says, quick is a part of it, full is all", () => {
  const scenariosOf = (tier: "quick" | "default" | "full"): string[] => [
    ...new Set(chooseCases(all, tier, []).map(({ scenario }) => scenario)),
  ];
  expect(scenariosOf("default")).toEqual([
    "fanout",
    "rooms-small",
    "noisy-neighbour",
    "idle",
  ]);
  const defaults = chooseCases(all, "default", []).map(({ id }) => id);
  expect(defaults).toContain("fanout/1000");
  expect(defaults).toContain("fanout/5000");
  expect(defaults).not.toContain("fanout/10000");
  for (const { id } of chooseCases(all, "quick", []))
    expect(defaults).toContain(id);
  expect(chooseCases(all, "full", [])).toEqual(cases);
});

test("--only takes scenarios and cases of any tier, and names what it does not know", () => {
  expect(chooseCases(all, "default", ["crash"]).map(({ id }) => id)).toEqual([
    "crash",
  ]);
  const some = chooseCases(all, "quick", ["resume-storm", "fanout/10000"]);
  expect(some.map(({ id }) => id)).toEqual([
    "fanout/10000",
    "resume-storm/one-room",
    "resume-storm/rooms",
    "resume-storm/drain",
  ]);
  expect(() => chooseCases(all, "default", ["fan"])).toThrow(
    "no scenario fan;",
  );
});

test.each(cases.map((one) => [one.id, one] as const))(
  "%s can be run: plan, columns, control, ladder, open files",
  async (_, one) => {
    expect(PEERS.map(({ name }) => name)).toContain(one.control);
    for (const key of one.columns) expect(FIGURES).toHaveProperty(key);
    if (one.after !== null)
      expect(cases.map(({ id }) => id)).toContain(one.after);
    const sockets = one.groups.reduce(
      (sum, { rooms, members }) => sum + rooms * members,
      0,
    );
    expect(sockets).toBeLessThan(OPEN_FILES - 100);
    const taking = PEERS.filter((peer) => unable(one, peer) === null);
    expect(taking.length).toBeGreaterThan(0);
    for (const peer of taking) {
      const plan = await loadPlan(one, peer, [{ url: "ws://127.0.0.1:1/" }]);
      checkPlan(plan);
      for (const template of plan.templates)
        checkTemplate(template, plan.text_bytes);
    }
  },
);

test("peers have names of their own, and only the control of a case stands beside the peers", () => {
  const names = PEERS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const taking = (id: string): string[] => {
    const one = cases.find((other) => other.id === id)!;
    return PEERS.filter((peer) => unable(one, peer) === null).map(
      ({ name }) => name,
    );
  };
  expect(taking("fanout/1000")).toEqual([
    "bare",
    "roomcast",
    "ws",
    "socketio",
    "centrifugo",
  ]);
  expect(taking("rooms-small/500x2")[0]).toBe("bare-json");
  expect(taking("mixed-formats/5000")).toEqual(["bare", "roomcast"]);
  expect(taking("crash")).toEqual(["roomcast"]);
});
