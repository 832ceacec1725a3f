import type { LoadPlan } from "../../bench/load/plan.ts";
import { TEMPLATES } from "../../bench/load/templates.ts";

/** A plan of one group, for what does not run. */
export function smallPlan(shape: {
  rooms: number;
  members: number;
  senders: number;
  rate: number;
}): LoadPlan {
  return {
    targets: [{ url: "ws://127.0.0.1:1/chat", addresses: ["127.0.0.1"] }],
    templates: [TEMPLATES["roomcast-json"]!],
    groups: [
      { name: "group", stalled: 0, probes: 0, room_prefix: "r", ...shape },
    ],
    text_bytes: 64,
    echo: true,
    warmup_seconds: 0.5,
    seconds: 1,
    drain_seconds: 1,
    silence_seconds: 0.5,
    closed_loop: 0,
    processes: 1,
    connect_concurrency: 8,
    connect_timeout_seconds: 5,
    base_ms: 0,
  };
}
