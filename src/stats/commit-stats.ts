import { Histogram } from "./histogram.ts";

/** What a broker counts that stores by itself. */
export class CommitStats {
  /** Events in one commit. */
  readonly events = new Histogram();
  /** What a commit took; in microseconds. */
  readonly us = new Histogram();
}
