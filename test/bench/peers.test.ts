import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PEERS, peerNamed } from "../../bench/peers/list.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { measure } from "../../bench/run/measure.ts";
import { type Case, chooseCases } from "../../bench/run/case.ts";
import { scenarios } from "../../bench/scenarios.ts";
import { natsServer, tellSkipped } from "../support/nats.ts";
import { fill, storedRoom } from "../../bench/special/stored.ts";

/** Ends what hangs; processes start slowly on a busy machine. */
const PATIENCE_MS = 60_000;

const caseNamed = (id: string): Case =>
  chooseCases(scenarios(20_000), "full", [id])[0]!;
const quiet = (): void => {};

/** Small enough that any machine carries it. */
const SMALL: Case = {
  ...caseNamed("rooms-small/100x10"),
  groups: [{ name: "small", rooms: 3, members: 4, rate: 10 }],
  warmup_seconds: 0.2,
  seconds: 0.8,
};

const installed = PEERS.filter(
  (peer) => peer.missing() === null && peer.nats === undefined,
);
tellSkipped("the benchmark's gateways on NATS");

test(
  "every installed peer delivers each message once to each member, in order",
  async () => {
    const found = await Promise.all(
      installed.map((peer) => measure(SMALL, peer, 0, quiet)),
    );
    for (const one of found) {
      const { delivered, expected, lost, doubled, reordered } = one.load!.total;
      expect([
        one.peer,
        one.reasons.filter((reason) =>
          /lost|doubled|reordered|ended|error/.test(reason),
        ),
      ]).toEqual([one.peer, []]);
      expect([one.peer, delivered, expected, lost, doubled, reordered]).toEqual(
        [one.peer, 120, 120, 0, 0, 0],
      );
      expect(one.load!.server!.rss_end_bytes).toBeGreaterThan(1e6);
    }
  },
  PATIENCE_MS,
);

test.skipIf(natsServer === undefined)(
  "gateways on NATS deliver each message once to each member, whichever node it is connected to",
  async () => {
    const small: Case = {
      ...SMALL,
      peers: null,
      nats: { streams: 2, replicas: 1 },
    };
    for (const name of ["roomcast-nats", "roomcast-nats-2"]) {
      const one = await measure(small, peerNamed(name), 0, quiet);
      const { delivered, expected, lost, doubled, reordered } = one.load!.total;
      expect([name, delivered, expected, lost, doubled, reordered]).toEqual([
        name,
        120,
        120,
        0,
        0,
        0,
      ]);
      expect(one.load!.beneath!.rss_end_bytes).toBeGreaterThan(1e6);
      expect("small, other node" in one.histograms).toBe(
        name === "roomcast-nats-2",
      );
    }
  },
  PATIENCE_MS,
);

test.skipIf(natsServer === undefined)(
  "what publishes by itself hears all it published, over the streams of its case",
  async () => {
    const knee: Case = {
      ...caseNamed("cluster/knee-4x1"),
      warmup_seconds: 0.2,
      seconds: 0.3,
    };
    for (const name of ["jetstream", "nats-broker"]) {
      const { verdict, reasons, figures } = await measure(
        knee,
        peerNamed(name),
        0,
        quiet,
      );
      expect([name, verdict, reasons]).toEqual([name, "ok", []]);
      expect(figures.published_per_second).toBeGreaterThan(0);
    }
    const broken: Peer = {
      ...peerNamed("jetstream"),
      command: () => [
        process.execPath,
        "-e",
        "console.error('no'); process.exit(3)",
      ],
    };
    const { verdict, reasons } = await measure(knee, broken, 0, quiet);
    expect([verdict, reasons]).toEqual([
      "failed",
      ["jetstream ended (3): no\n"],
    ]);
  },
  PATIENCE_MS,
);

test(
  "a server that cannot start is a failed measurement that says why",
  async () => {
    const broken: Peer = {
      ...peerNamed("bare"),
      command: () => [
        process.execPath,
        "-e",
        "console.log('no disk'); process.exit(3)",
      ],
    };
    const { verdict, reasons } = await measure(SMALL, broken, 0, quiet);
    expect(verdict).toBe("failed");
    expect(reasons[0]).toContain("ended while starting: no disk");
  },
  PATIENCE_MS,
);

test(
  "the crash scenario finds nothing lost with a history on disk, and the loss without one",
  async () => {
    const crash: Case = {
      ...caseNamed("crash"),
      groups: [{ name: "rooms", rooms: 2, members: 2, rate: 100, senders: 2 }],
      kills: 1,
    };
    const roomcast = peerNamed("roomcast");
    const [kept, forgot] = await Promise.all([
      measure(crash, roomcast, 0, quiet),
      measure({ ...crash, flags: ["--history", "memory"] }, roomcast, 0, quiet),
    ]);
    expect(kept.reasons).toEqual([]);
    expect(kept.figures).toMatchObject({
      acked_lost: 0,
      acked_doubled: 0,
      acked_reordered: 0,
    });
    expect(kept.figures.acked).toBeGreaterThan(0);
    expect(forgot.verdict).toBe("failed");
    expect(forgot.figures.acked_lost).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);

test(
  "the resume storm checks every reply, and sees those that were cut",
  async () => {
    const storm: Case = {
      ...caseNamed("resume-storm/rooms"),
      groups: [{ name: "rooms", rooms: 3, members: 4, rate: 0 }],
      seconds: 0.5,
    };
    const roomcast = peerNamed("roomcast");
    const [whole, cut] = await Promise.all([
      measure(storm, roomcast, 0, quiet),
      measure(
        { ...storm, flags: ["--max-history-per-reply", "50"] },
        roomcast,
        0,
        quiet,
      ),
    ]);
    expect(
      whole.reasons.filter((reason) => !reason.startsWith("live")),
    ).toEqual([]);
    expect(cut.reasons).toContain(
      "12 replies were not the 100 missed messages",
    );
  },
  PATIENCE_MS,
);

test(
  "a filled folder holds its events, room by room, as the server writes them",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
    try {
      const file = join(folder, "history.db");
      await fill(file, {
        rooms: 12,
        per_room: 30,
        text_bytes: 40,
        tell: quiet,
      });
      const db = new Database(file, { readonly: true });
      expect(
        db
          .query(
            "SELECT count(*) AS n, min(seq) AS first, max(seq) AS last, max(length(text)) AS bytes FROM events",
          )
          .get(),
      ).toEqual({ n: 360, first: 1, last: 30, bytes: 40 });
      expect(
        db
          .query("SELECT head, first FROM rooms WHERE name = ?")
          .get(storedRoom(11)),
      ).toEqual({ head: 30, first: 1 });
      expect(
        db.query("SELECT value FROM meta WHERE key = 'moved'").get(),
      ).toEqual({ value: "360" });
      db.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  PATIENCE_MS,
);
