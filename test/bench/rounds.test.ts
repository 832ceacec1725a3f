import { expect, test } from "bun:test";
import { PEERS, peerNamed } from "../../bench/peers/list.ts";
import type { Measurement } from "../../bench/run/run-file.ts";
import { type RoundsTell, runRounds, unable } from "../../bench/run/rounds.ts";
import { chooseCases } from "../../bench/run/case.ts";
import { scenarios } from "../../bench/scenarios.ts";
import { measured } from "./fixed-run.ts";

const SILENT: RoundsTell = { began() {}, progress() {}, ended() {} };
const cases = (...only: string[]) =>
  chooseCases(scenarios(20_000), "full", only);
const peers = ["bare", "bare-json", "roomcast", "ws"].map(peerNamed);

/** Runs rounds in a world where each measurement takes `took` seconds and gives what `result` says. */
async function rounds(
  only: string[],
  options: { repeats: number; budget_seconds: number },
  result:
    | Partial<Measurement>
    | ((id: string, peer: string) => Partial<Measurement>) = {},
  took = 5,
  stop_after = Infinity,
) {
  let clock = 1000;
  const order: string[] = [];
  const { measurements, notes } = await runRounds(
    cases(...only),
    peers,
    options,
    SILENT,
    {
      now: () => clock,
      stopped: () => order.length > stop_after,
      measure: async (one, peer, round) => {
        clock += took;
        order.push(`${round} ${one.id} ${peer.name}`);
        const given =
          typeof result === "function" ? result(one.id, peer.name) : result;
        return measured(
          one.id,
          peer.name,
          { delivered_per_second: 1000 },
          { round, ...given },
        );
      },
    },
  );
  return { measurements, notes, order };
}

const FREE = { repeats: 2, budget_seconds: Infinity };

test("peers take turns, round after round, each case beside its control", async () => {
  const { order } = await rounds(["fanout/1000", "rooms-small/500x2"], FREE);
  const one = [
    "fanout/1000 bare",
    "fanout/1000 roomcast",
    "fanout/1000 ws",
    "rooms-small/500x2 bare-json",
    "rooms-small/500x2 roomcast",
    "rooms-small/500x2 ws",
  ];
  expect(order).toEqual([
    ...one.map((key) => `0 ${key}`),
    ...one.map((key) => `1 ${key}`),
  ]);
});

test("a peer that lacks what a case needs is recorded with the reason", async () => {
  const { order, measurements } = await rounds(["crash"], FREE);
  expect(order).toEqual(["0 crash roomcast", "1 crash roomcast"]);
  expect(
    measurements.filter(({ verdict }) => verdict === "not-run"),
  ).toMatchObject([{ peer: "ws", reasons: ["has no history"] }]);
});

test("peers that are about NATS stand only in cases that name them, and alone there", () => {
  const of = (id: string): string[] =>
    PEERS.filter((peer) => unable(cases(id)[0]!, peer) !== "").map(
      ({ name }) => name,
    );
  expect(of("cluster/small-4x3")).toEqual([
    "roomcast",
    "roomcast-nats",
    "roomcast-nats-2",
  ]);
  expect(of("cluster/knee-1x1")[0]).toBe("jetstream");
  expect(of("cluster/knee-1x1").length).toBe(5);
  expect(of("fanout/1000").filter((name) => /nats|jet/.test(name))).toEqual([]);
});

test("what NATS uses is not put down to other programs", async () => {
  const load = {
    offered_deliveries_per_second: 0,
    machine: { cpus: 2 },
    machine_busy_share: 0.9,
    server: { cpu_share: 0.8 },
    beneath: { cpu_share: 0.4 },
    generators: [{ process_cpu_share: 0.2 }],
  } as unknown as NonNullable<Measurement["load"]>;
  const { notes } = await rounds(["fanout/1000"], FREE, { load });
  expect(notes).toEqual([
    "other programs used 20 % of the machine (median over the measurements)",
  ]);
});

test("nothing is begun that would not end within the budget, and a note says so", async () => {
  const { order, notes } = await rounds(["fanout/1000"], {
    repeats: 3,
    budget_seconds: 22,
  });
  expect(order.length).toBe(4);
  expect(notes[0]).toStartWith("5 of 9 measurements did not fit into 22 s");
});

test("a ladder ends for a peer at the rung that it did not carry", async () => {
  const { order, measurements } = await rounds(
    ["saturate/10", "saturate/20", "saturate/30"],
    { repeats: 1, budget_seconds: Infinity },
    (id, peer) =>
      peer === "ws" && id === "saturate/10"
        ? { verdict: "behind" }
        : peer === "bare" && id === "saturate/20"
          ? { figures: { delivered_per_second: 500 }, verdict: "client-bound" }
          : {},
  );
  const ran = (peer: string): number =>
    order.filter((key) => key.endsWith(` ${peer}`)).length;
  expect([ran("roomcast"), ran("ws"), ran("bare")]).toEqual([3, 1, 2]);
  expect(
    measurements
      .filter(({ verdict }) => verdict === "not-run")
      .map((one) => `${one.case} ${one.peer}: ${one.reasons[0]}`),
  ).toEqual([
    "saturate/20 ws: saturate/10 was not carried",
    "saturate/30 bare: saturate/20 was not carried",
    "saturate/30 ws: saturate/20 was not carried",
  ]);
});

test("an interrupted run keeps what was done, without the measurement that was cut", async () => {
  const { measurements, notes } = await rounds(["fanout/1000"], FREE, {}, 5, 2);
  expect(measurements.length).toBe(2);
  expect(notes).toContain("interrupted");
});
