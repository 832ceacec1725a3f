import type { Case, GroupShape, Scenario } from "./run/case.ts";
import type { FigureKey } from "./run/figures.ts";

const DELIVERY: FigureKey[] = [
  "cpu_us_per_delivery",
  "p50_us",
  "p90_us",
  "p99_us",
  "max_us",
  "delivered_per_second",
];
const WITH_ACKS: FigureKey[] = [
  "cpu_us_per_delivery",
  "p50_us",
  "p99_us",
  "p999_us",
  "ack_p50_us",
  "delivered_per_second",
];
/** A shared machine lets a room of this size be measured in a moment. */
const BASE: Omit<Case, "id" | "scenario" | "title" | "groups"> = {
  kind: "load",
  tier: "default",
  control: "bare",
  needs: [],
  formats: ["json"],
  text_bytes: 64,
  warmup_seconds: 0.8,
  seconds: 2,
  connect_concurrency: 128,
  peers: null,
  nats: null,
  closed_loop: 0,
  after: null,
  stored_events: 0,
  flags: [],
  kills: 0,
  columns: DELIVERY,
};

type Variant = Partial<Case> & Pick<Case, "title" | "groups">;

function scenario(
  name: string,
  about: string,
  variants: Record<string, Variant>,
): Scenario {
  const cases = Object.entries(variants).map(([variant, given]): Case => ({
    ...BASE,
    ...given,
    scenario: name,
    id: variant === "" ? name : `${name}/${variant}`,
  }));
  return { name, about, cases };
}

const room = (members: number, rate: number): GroupShape[] => [
  { name: "room", rooms: 1, members, rate },
];

const thousands = (value: number): string => value.toLocaleString("en-US");

/** 5,000 sockets at rising rates; a rung is tried only if the one below was carried. */
function ladder(): Record<string, Variant> {
  const rates = [10, 20, 30, 40, 50, 70, 100, 140, 200];
  return Object.fromEntries(
    rates.map((rate, rung): [string, Variant] => [
      String(rate),
      {
        title: `5,000 in a room, ${rate} messages/s: ${thousands(5000 * rate)} deliveries/s`,
        groups: room(5000, rate),
        tier: "full",
        seconds: 3,
        after: rung === 0 ? null : `saturate/${rates[rung - 1]}`,
        columns: [
          "delivered_per_second",
          "cpu_us_per_delivery",
          "p50_us",
          "p99_us",
        ],
      },
    ]),
  );
}

/** The same loads with one and two gateway threads: when do threads pay? */
function threads(): Record<string, Variant> {
  const loads: Record<string, Variant> = {
    "5000": {
      title: "5,000 in a room, 20 messages/s",
      groups: room(5000, 20),
      seconds: 4,
    },
    "15000": {
      title: "15,000 in a room, 7 messages/s",
      groups: room(15_000, 7),
      seconds: 5,
    },
    "500x2": {
      title: "500 rooms of 2, 2,000 messages/s in all",
      groups: [{ name: "small", rooms: 500, members: 2, rate: 4 }],
      warmup_seconds: 3,
      seconds: 4,
      columns: WITH_ACKS,
    },
    "500x2-busy": {
      title: "500 rooms of 2, 20,000 messages/s in all",
      groups: [{ name: "small", rooms: 500, members: 2, rate: 40 }],
      warmup_seconds: 4,
      seconds: 4,
      columns: WITH_ACKS,
    },
    noisy: {
      title: "100 rooms of 2 beside a room of 5,000",
      groups: [
        { name: "small", rooms: 100, members: 2, rate: 5 },
        { name: "large", rooms: 1, members: 5000, rate: 20 },
      ],
      warmup_seconds: 2,
      seconds: 4,
      columns: ["p50_us", "p90_us", "p99_us", "cpu_us_per_delivery"],
    },
  };
  return Object.fromEntries(
    Object.entries(loads).flatMap(([name, load]) =>
      [1, 2].map((count): [string, Variant] => [
        `${name}-${count}`,
        {
          ...load,
          title: `${load.title}; ${count === 1 ? "one thread" : `${count} threads`}`,
          tier: "full",
          needs: ["threads"],
          flags: ["--threads", String(count)],
        },
      ]),
    ),
  );
}

/** The loads of the small rooms and of a large one, with counting for metrics and without. */
function watched(): Record<string, Variant> {
  const shared: Partial<Variant> = {
    tier: "full",
    control: "roomcast-uncounted",
    peers: ["roomcast-uncounted", "roomcast"],
  };
  return {
    "5000": {
      ...shared,
      title: "5,000 in a room, 20 messages/s: 100,000 deliveries/s",
      groups: room(5000, 20),
      warmup_seconds: 2,
      seconds: 4,
    },
    "500x2-busy": {
      ...shared,
      title: "500 rooms of 2, 20,000 messages/s in all",
      groups: [{ name: "small", rooms: 500, members: 2, rate: 40 }],
      warmup_seconds: 4,
      seconds: 4,
      columns: WITH_ACKS,
    },
  };
}

/** One gateway alone, one on NATS, two on NATS: by streams, and by servers that keep each message. */
function cluster(): Record<string, Variant> {
  const variants: Record<string, Variant> = {};
  for (const replicas of [1, 3])
    for (const streams of [1, 4]) {
      const name = `${streams}x${replicas}`;
      const on = `${streams === 1 ? "one stream" : `${streams} streams`}, ${replicas === 1 ? "one NATS server" : `${replicas} NATS servers and replicas`}`;
      const shared: Partial<Variant> = {
        control: "roomcast",
        peers: ["roomcast", "roomcast-nats", "roomcast-nats-2"],
        nats: { streams, replicas },
        tier: "full",
        // Compilers of gateways, generator and the NATS client are at work for so long.
        warmup_seconds: 3,
        seconds: 4,
        columns: [
          "cpu_us_per_event",
          "nats_us_per_event",
          "own_p50_us",
          "own_p99_us",
          "across_p50_us",
          "across_p99_us",
        ],
      };
      variants[`small-${name}`] = {
        ...shared,
        title: `500 rooms of 2, 5,000 messages/s in all; ${on}`,
        groups: [{ name: "small", rooms: 500, members: 2, rate: 10 }],
      };
      if (streams === 1)
        variants[`room-${name}`] = {
          ...shared,
          title: `1,000 in a room, 20 messages/s; ${on}`,
          // As many on each node.
          groups: [
            { name: "room", rooms: 1, members: 1000, rate: 20, probes: 40 },
          ],
        };
      variants[`knee-${name}`] = {
        ...shared,
        title: `256 messages in flight, each in a room of its own; ${on}`,
        groups: [{ name: "rooms", rooms: 256, members: 1, rate: 0 }],
        closed_loop: 1,
        control: "jetstream",
        peers: ["jetstream", "nats-broker", ...shared.peers!],
        columns: [
          "published_per_second",
          "cpu_us_per_event",
          "nats_us_per_event",
          "p50_us",
          "p99_us",
        ],
      };
    }
  return variants;
}

/** Descriptors that neither side of a connection may pass, less what a server needs for itself. */
export const MAX_ROOM_RESERVE = 200;

/**
 * What is measured: scenarios, each of one or more cases. A case is one row of a table per peer: a fresh server process,
 * one load, a few figures.
 * @param openFiles the limit of open files of one process
 */
export function scenarios(openFiles: number): Scenario[] {
  const most = Math.min(openFiles, 60_000) - MAX_ROOM_RESERVE;
  return [
    scenario("fanout", "one large room: what a delivery costs", {
      "1000": {
        title: "1,000 in a room, 20 messages/s: 20,000 deliveries/s",
        groups: room(1000, 20),
        tier: "quick",
      },
      "5000": {
        title: "5,000 in a room, 20 messages/s: 100,000 deliveries/s",
        groups: room(5000, 20),
      },
      "10000": {
        title: "10,000 in a room, 10 messages/s: 100,000 deliveries/s",
        groups: room(10_000, 10),
        tier: "full",
        seconds: 4,
      },
      max: {
        title: `${thousands(most)} in a room, as many as the open-file limit allows, 4 messages/s`,
        groups: room(most, 4),
        tier: "full",
        seconds: 4,
      },
    }),
    scenario("rooms-small", "many small rooms: what a message costs", {
      "500x2": {
        title: "500 rooms of 2, 2,000 messages/s in all",
        groups: [{ name: "small", rooms: 500, members: 2, rate: 4 }],
        control: "bare-json",
        tier: "quick",
        columns: WITH_ACKS,
      },
      "500x2-busy": {
        title: "500 rooms of 2, 20,000 messages/s in all",
        groups: [{ name: "small", rooms: 500, members: 2, rate: 40 }],
        control: "bare-json",
        // Compilers are at work for some seconds of it, on the cores that the server and the generator need.
        warmup_seconds: 3,
        columns: WITH_ACKS,
      },
      "100x10": {
        title: "100 rooms of 10, 2,000 messages/s in all: 20,000 deliveries/s",
        groups: [{ name: "small", rooms: 100, members: 10, rate: 20 }],
        control: "bare-json",
        columns: WITH_ACKS,
      },
    }),
    scenario("noisy-neighbour", "100 rooms of 2 beside a room of 5,000", {
      "": {
        title:
          "100 rooms of 2 (500 messages/s in all) beside a room of 5,000 at 20 messages/s",
        groups: [
          { name: "small", rooms: 100, members: 2, rate: 5 },
          { name: "large", rooms: 1, members: 5000, rate: 20 },
        ],
        columns: [
          "p50_us",
          "p90_us",
          "p99_us",
          "beside_p50_us",
          "cpu_us_per_delivery",
        ],
      },
    }),
    scenario("idle", "what a quiet connection costs", {
      "": {
        title: "10,000 connections in a room, silent",
        groups: room(10_000, 0),
        kind: "connect",
        seconds: 1,
        warmup_seconds: 0.5,
        columns: [
          "bytes_per_connection",
          "rss_bytes",
          "connects_per_second",
          "connect_cpu_us",
        ],
      },
    }),
    scenario("connect-storm", "thousands connect at once", {
      "": {
        title: "5,000 connect and join 500 rooms, 1,000 handshakes in flight",
        groups: [{ name: "rooms", rooms: 500, members: 10, rate: 0 }],
        kind: "connect",
        tier: "full",
        connect_concurrency: 500,
        seconds: 0.2,
        warmup_seconds: 0.1,
        columns: [
          "connects_per_second",
          "connect_cpu_us",
          "connect_p50_us",
          "connect_p99_us",
        ],
      },
    }),
    scenario(
      "saturate",
      "5,000 in a room × rising rates, to the knee",
      ladder(),
    ),
    scenario("mixed-formats", "half JSON, half MessagePack, in one room", {
      "5000": {
        title: "2,500 JSON and 2,500 MessagePack in a room, 20 messages/s",
        groups: room(5000, 20),
        tier: "full",
        formats: ["json", "msgpack"],
        needs: ["msgpack"],
        seconds: 3,
      },
    }),
    scenario("slow-consumers", "1 % stop reading", {
      "": {
        title:
          "200 in a room, 2 of them stop reading, 100 messages/s of 4,000 bytes",
        groups: [
          { name: "room", rooms: 1, members: 200, rate: 100, stalled: 2 },
        ],
        tier: "full",
        text_bytes: 4000,
        warmup_seconds: 1,
        // The kernel takes megabytes before the server notices.
        seconds: 25,
        columns: [
          "p50_us",
          "p99_us",
          "stalled_closed",
          "peak_rss_bytes",
          "cpu_us_per_delivery",
        ],
      },
    }),
    scenario("resume-storm", "thousands reconnect, each missed 100 messages", {
      "one-room": {
        title: "4,000 of one room come back at once, 100 messages missed",
        groups: room(4000, 0),
        kind: "resume",
        tier: "full",
        seconds: 6,
        needs: ["resume"],
        columns: [
          "resumes_per_second",
          "resume_p50_us",
          "resume_p99_us",
          "resume_cpu_us",
          "live_p99_us",
          "peak_rss_bytes",
        ],
      },
      rooms: {
        title: "4,000 of 400 rooms come back at once, 100 messages missed each",
        groups: [{ name: "rooms", rooms: 400, members: 10, rate: 0 }],
        kind: "resume",
        tier: "full",
        seconds: 6,
        needs: ["resume"],
        columns: [
          "resumes_per_second",
          "resume_p50_us",
          "resume_p99_us",
          "resume_cpu_us",
          "live_p99_us",
          "peak_rss_bytes",
        ],
      },
      drain: {
        title:
          "SIGTERM and a new start under 4,000 of 400 rooms, who come back when told",
        groups: [{ name: "rooms", rooms: 400, members: 10, rate: 0 }],
        kind: "drain",
        tier: "full",
        seconds: 12,
        needs: ["resume"],
        columns: [
          "drain_us",
          "back_p50_us",
          "back_max_us",
          "back_peak_per_second",
          "back_retries",
          "peak_rss_bytes",
        ],
      },
    }),
    scenario("crash", "SIGKILL under load: what was acknowledged is there", {
      "": {
        title:
          "10 × SIGKILL while 20 senders send 2,000 messages/s to 10 rooms",
        groups: [
          { name: "rooms", rooms: 10, members: 2, rate: 200, senders: 2 },
        ],
        kind: "crash",
        tier: "full",
        needs: ["history"],
        kills: 10,
        columns: [
          "acked",
          "acked_lost",
          "acked_doubled",
          "acked_reordered",
          "restart_p50_us",
          "restart_max_us",
        ],
      },
    }),
    scenario(
      "threads",
      "the same load with one and two gateway threads",
      threads(),
    ),
    scenario(
      "watched",
      "the same load with counting for metrics and without",
      watched(),
    ),
    scenario(
      "cluster",
      "gateways on NATS, members of a room spread over them",
      cluster(),
    ),
    scenario("stored", "small rooms over ten million stored events", {
      "": {
        title:
          "500 rooms of 2, 20,000 messages/s in all, 10,000,000 events stored, retention on",
        groups: [{ name: "small", rooms: 500, members: 2, rate: 40 }],
        control: "bare-json",
        tier: "full",
        needs: ["history"],
        stored_events: 10_000_000,
        flags: ["--retention-events-per-room", "20000"],
        warmup_seconds: 2,
        seconds: 20,
        columns: WITH_ACKS,
      },
    }),
  ];
}
