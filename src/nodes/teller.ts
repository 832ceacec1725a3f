import type { Line } from "./line.ts";
import type { Roster } from "./roster.ts";
import {
  listed,
  pieces,
  sizeOfText,
  sizeOfUser,
  type Beat,
  type Diff,
} from "./wire.ts";

/** What this node tells the others by itself: diffs and beats. While NATS is not there, it is as if they were lost. */
export class Teller {
  #version = 0;
  #beat = 0;
  /** Scopes told of since the last beat: no more than diffs in a second. */
  #changed = new Map<string, number>();

  constructor(private readonly line: Line) {}

  /** Version of the last diff. */
  get version(): number {
    return this.#version;
  }

  /** Tells what changed in a scope. Afterwards the others know it as it is. */
  diff(scope: string, subject: string, roster: Roster): void {
    const change = roster.take();
    if (!change) return;
    const tell = (diff: Pick<Diff, "joined" | "left">): void => {
      const version = ++this.#version;
      this.line.send(subject, { prev: roster.version, version, ...diff });
      roster.version = version;
    };
    const { budget } = this.line;
    if (change.left.length > 0)
      for (const left of pieces(change.left, sizeOfText, budget))
        tell({ joined: [], left });
    if (change.joined.length > 0)
      for (const joined of pieces(change.joined, sizeOfUser, budget))
        tell({ joined: joined.map(listed), left: [] });
    this.#changed.set(scope, roster.version);
  }

  beat(connections: number): void {
    const changed = pieces(
      this.#changed,
      ([scope]) => sizeOfText(scope),
      this.line.budget,
    );
    this.#changed = new Map();
    for (const piece of changed) {
      const beat: Beat = {
        beat: ++this.#beat,
        connections,
        upto: this.#version,
        changed: piece,
      };
      this.line.send(this.line.subjects.beat, beat);
    }
  }

  bye(): void {
    this.line.send(this.line.subjects.bye, {});
  }
}
