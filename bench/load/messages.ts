import type { LoadPlan } from "./plan.ts";

/** Coordinator → generator process. Times are µs since the run's base. */
export type ToGenerator =
  | { type: "plan"; plan: LoadPlan; process: number }
  | { type: "connect"; round: number; rounds: number }
  | { type: "start"; start_us: number; measure_us: number; end_us: number }
  /** `sent`: messages of each stream in the run, by stream id. */
  | { type: "drain"; sent: number[] }
  | { type: "quit" };

/** Generator process → coordinator. */
export type FromGenerator =
  | { type: "ready" }
  | { type: "progress"; connected: number; sent: number; delivered: number }
  | { type: "connected"; failed: number; reasons: Record<string, number> }
  /** The schedule is over: pairs of stream and messages sent. */
  | { type: "sent"; counts: [stream: number, sent: number][] }
  | { type: "report"; report: GeneratorReport }
  | { type: "failed"; message: string };

/** Counts of one group in one process. Histograms are encoded, in µs. */
export interface GroupReport {
  sent: number;
  /** Messages that were due on a connection that had ended. */
  unsent: number;
  expected: number;
  delivered: number;
  /** Of these, in the measured time by their arrival. */
  delivered_in_window: number;
  lost: number;
  /** Of connections that ended; not in `lost`. */
  lost_on_ended: number;
  doubled: number;
  reordered: number;
  /** Deliveries of another room's messages. */
  misdelivered: number;
  acks_expected: number;
  acks: number;
  acks_lost: number;
  acks_doubled: number;
  /** From the intended send time, to members on the sender's own server. */
  latency: string;
  /** The same, to members on another server. */
  across_latency: string;
  ack_latency: string;
  /** Real minus intended send time. */
  lateness: string;
}

export interface GeneratorReport {
  process: number;
  groups: GroupReport[];
  /** From the socket's creation to the join's answer, in µs, encoded. */
  connect: string;
  ended: Record<string, number>;
  stalled_ended: number;
  errors: { count: number; samples: string[] };
  /** Frames that were neither delivery, ack, join answer nor error. */
  other_frames: number;
  /** True if deliveries were still arriving when the wait ended. */
  cut_off: boolean;
  /** Shares of the measured time, 0 to 1, of the thread that runs the sockets. */
  cpu_share: number;
  waited_share: number;
  /** Of all threads of the process. */
  process_cpu_share: number;
}
