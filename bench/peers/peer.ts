import type { Format } from "../run/case.ts";
import type { Template } from "../load/templates.ts";

/** What a case asks for that not every server has. */
export type Ability = "history" | "resume" | "msgpack" | "threads";

/** Where one server process runs. */
export interface Place {
  port: number;
  /** A folder of its own, empty unless the case filled it; on a disk. */
  folder: string;
  /** Flags that a case adds; only roomcast is given any. */
  flags: string[];
}

/** A server to measure: one file each. */
export interface Peer {
  name: string;
  /** For tables and plots: short. */
  title: string;
  /** A sentence: what it does with a message. */
  does: string;
  abilities: readonly Ability[];
  /**
   * Only in cases about NATS: how many servers share it. 0: `command` is no server, but publishes by itself and prints
   * what it measured.
   */
  nats?: { gateways: number };
  /** It takes part only in cases that name it. */
  onlyNamed?: true;
  /** Path of the sockets, with a slash. */
  path: string;
  /** Why it cannot be started on this machine; null if it can. */
  missing(): string | null;
  /** What was measured, such as "ws 8.23.0 on Node v20.20.2". */
  version(): string;
  /** The command that serves on `port` of all addresses, in the foreground. May write files into the folder. */
  command(place: Place): string[];
  /** How to speak to it. */
  template(format: Format): Template;
}
