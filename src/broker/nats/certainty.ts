import type { StreamInfo } from "@nats-io/jetstream";
import { LinkError } from "./link.ts";
import type { StreamReader } from "./reader.ts";
import type { Place } from "./subjects.ts";

/**
 * NATS chooses no other leader before a replica has heard nothing for 4 s (`minElectionTimeout` in its server/raft.go): until
 * then a leader knows all that is stored.
 */
const IN_TOUCH_MS = 3000;
const NANOS_PER_MS = 1e6;

/**
 * Whether a stream's leader told this, in touch with most replicas. One that is cut off from them takes itself for the
 * leader for 12 s more, and goes on answering after that: what it tells may be long past.
 */
export function isLeaders({ cluster }: Pick<StreamInfo, "cluster">): boolean {
  // Servers that are no cluster may leave it out.
  if (!cluster) return true;
  if (!cluster.leader) return false;
  const others = cluster.replicas ?? [];
  const inTouch = others.filter(
    ({ active, current, offline }) =>
      !offline &&
      active < IN_TOUCH_MS * NANOS_PER_MS &&
      // Never heard of since it leads.
      (active > 0 || current),
  );
  return 2 * (inTouch.length + 1) > others.length + 1;
}

/** Tells "there is nothing" from "nothing is known here". */
export class Certainty {
  constructor(
    private readonly reader: Pick<StreamReader, "heads" | "leaderAfter">,
    /** A stream as its leader knows it; undefined where there is none. Rejects with LinkError where nobody is sure. */
    private readonly info: (index: number) => Promise<StreamInfo | undefined>,
  ) {}

  /**
   * Whether a room surely has no message above a position, though `seq` above it was in the stream, or is said to be.
   * @throws LinkError whoever answers does not know as much
   */
  async endsAt(place: Place, position: number, seq: number): Promise<boolean> {
    // Whoever knows the stream up to there, and no message of the room, is right, leader or not.
    const { heads, upto } = await this.reader.heads(place.stream, [place], 0);
    const head = heads.get(place.subject);
    if (head !== undefined && head > position) return false;
    if (upto !== undefined && upto >= seq) return true;
    const info = await this.info(place.index);
    if (!info || info.state.last_seq < seq) return true;
    if (head !== undefined)
      throw new LinkError("the NATS server that answered is behind");
    // It knows of no message in the room at all: then it does not say up to where.
    return (await this.reader.leaderAfter(place, position)) === undefined;
  }
}
