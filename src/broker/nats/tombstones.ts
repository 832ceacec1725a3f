import { encodeHeader, LinkError, type Link } from "./link.ts";
import type { StreamReader, Whose } from "./reader.ts";
import { encodeDeletion, type Stored } from "./stored.ts";
import type { Place } from "./subjects.ts";

/** Deletions of one room that are remembered here; of more, the earliest are forgotten: nothing stands in their places. */
const MAX_OF_ROOM = 10_000;
/** The same over all rooms, of which those that rested longest are read again when they are needed. */
const MAX_OF_ALL = 100_000;
/** Notes on what retention has taken that one deletion clears away. */
const MAX_SWEPT = 32;

/** The kind of note that tells that the stream holds one message less. */
export const ERASED = "erased";

/**
 * What is noted of a deletion, each once. `wanted`: from now on nobody is shown the message; `erased`: the stream erased it
 * when it was asked to, and all is done; `done`: all is done, and the message was not there any more.
 */
export type NoteKind = "wanted" | typeof ERASED | "done";

/** The body of a note. */
export interface Note {
  /** Of the message. */
  readonly seq: number;
  /** Ms since 1970, and tag, of the message: in `wanted`. */
  readonly ts?: number;
  readonly tag?: string;
  /** Seq of the event that came next in the room, if it was known. */
  readonly next?: number | undefined;
}

/** What is left of a deleted message. */
export interface Tombstone {
  readonly seq: number;
  readonly ts: number;
  readonly tag: string;
  readonly next: number | undefined;
  readonly done: boolean;
  /** Seqs of the notes in the stream. */
  readonly notes: readonly number[];
}

/** A room's tombstones. */
class Graves {
  /** Seq of the last note that was read. */
  revision = 0;
  /** In the order in which their notes came. */
  readonly bySeq = new Map<number, Tombstone>();
  /** As how many it was counted last. */
  counted = 0;
  #sorted: Tombstone[] | undefined;

  /** Ascending. */
  get sorted(): readonly Tombstone[] {
    return (this.#sorted ??= [...this.bySeq.values()].toSorted(
      (a, b) => a.seq - b.seq,
    ));
  }

  take(stored: Stored): void {
    if (stored.seq <= this.revision) return;
    this.revision = stored.seq;
    const note = parsed(stored.body);
    if (!note) return;
    const known = this.bySeq.get(note.seq);
    const ts = note.ts ?? known?.ts;
    // Its first note is gone, and so is what it was about.
    if (ts === undefined) return;
    this.#sorted = undefined;
    this.bySeq.delete(note.seq);
    this.bySeq.set(note.seq, {
      seq: note.seq,
      ts,
      tag: note.tag ?? known?.tag ?? "",
      next: note.next ?? known?.next,
      done: note.ts === undefined || (known?.done ?? false),
      notes: [...(known?.notes ?? []), stored.seq],
    });
    if (this.bySeq.size > MAX_OF_ROOM)
      this.bySeq.delete(this.bySeq.keys().next().value!);
  }

  forget(seq: number): void {
    this.bySeq.delete(seq);
    this.#sorted = undefined;
  }

  /** Those with `after < seq <= upto`. */
  between(after: number, upto: number): readonly Tombstone[] {
    const { sorted } = this;
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle]!.seq <= after) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < sorted.length && sorted[end]!.seq <= upto) end++;
    return sorted.slice(low, end);
  }

  /**
   * From which seq on tombstones count. Retention takes a room's oldest messages and knows nothing of tombstones: one before
   * the oldest that is left counts only where nothing was between them.
   */
  standFrom(oldest: number | undefined): number {
    if (oldest === undefined) return Infinity;
    let from = oldest;
    for (const { seq, next } of this.between(0, oldest - 1).toReversed()) {
      if (next !== from) break;
      from = seq;
    }
    return from;
  }
}

/**
 * What is known of deleted messages: notes in the stream that held them, so that they have its leader, replicas and retention.
 *
 * They are asked for after messages were read, and of the leader, whatever replica those came from: so nobody is shown what
 * was deleted before. Mostly its answer is that there is nothing new.
 */
export class Tombstones {
  /** By room, those that rested longest first. */
  readonly #rooms = new Map<string, Graves>();
  #kept = 0;

  constructor(
    private readonly link: Link,
    private readonly reader: Pick<StreamReader, "after" | "leaderAfter">,
    /** Ms; Infinity for none. */
    private readonly retentionMs: number,
  ) {}

  /**
   * Puts tombstones in their places.
   * @param messages all of the room that the stream holds with `after < seq <= upto`
   * @throws LinkError
   */
  async merge(
    place: Place,
    messages: readonly Stored[],
    after: number,
    upto: number,
  ): Promise<readonly Stored[]> {
    const graves = await this.#fresh(place);
    const cutoff = Date.now() - this.retentionMs;
    let found = graves.between(after, upto).filter(({ ts }) => ts >= cutoff);
    if (found.length === 0) return messages;
    if (found[0]!.seq < (messages[0]?.seq ?? Infinity)) {
      const oldest = await this.reader.leaderAfter(place, 0);
      const from = graves.standFrom(oldest?.seq);
      found = found.filter(({ seq }) => seq >= from);
    }
    const log = new Map(messages.map((stored) => [stored.seq, stored]));
    for (const tombstone of found) log.set(tombstone.seq, toStored(tombstone));
    return [...log.values()].toSorted((a, b) => a.seq - b.seq);
  }

  /**
   * Whether an event is the one that came next after a deleted message.
   * @throws LinkError
   */
  async follows(place: Place, deleted: number, seq: number): Promise<boolean> {
    return (await this.get(place, deleted))?.next === seq;
  }

  /** @throws LinkError */
  async get(place: Place, seq: number): Promise<Tombstone | undefined> {
    return (await this.#fresh(place)).bySeq.get(seq);
  }

  /**
   * What is left of a message, whatever retention took since.
   * @throws LinkError
   */
  async find(place: Place, seq: number): Promise<Stored | undefined> {
    const tombstone = await this.get(place, seq);
    return tombstone && toStored(tombstone);
  }

  /**
   * The seq of the first deleted message with `after < seq < before`.
   * @throws LinkError
   */
  async firstBetween(
    place: Place,
    after: number,
    before: number,
  ): Promise<number | undefined> {
    return (await this.#fresh(place)).between(after, before - 1)[0]?.seq;
  }

  /**
   * Resolves when a note is stored, by whomever.
   * @throws LinkError
   */
  async write({ deleted }: Place, kind: NoteKind, note: Note): Promise<void> {
    for (let tries = 1; ; tries++) {
      let error: Ack["error"];
      await this.link.request(
        `${deleted}.${note.seq}.${kind}`,
        note,
        (msg) => {
          ({ error } = msg.json<Ack>());
          return true;
        },
        undefined,
        ONLY_FIRST,
      );
      if (!error || error.err_code === WRONG_LAST_SEQUENCE) return;
      if (error.err_code !== OTHER_IN_PROCESS || tries === MAX_TRIES)
        throw new LinkError(`NATS refused it: ${error.description}`);
      await Bun.sleep(RETRY_MS);
    }
  }

  /**
   * Removes notes on what retention has taken. Where it goes by age, it takes them too.
   * @throws LinkError
   */
  async sweep(place: Place): Promise<void> {
    const graves = await this.#fresh(place);
    const oldest = await this.reader.leaderAfter(place, 0);
    const from = graves.standFrom(oldest?.seq);
    const dead = graves.between(0, from - 1).filter(({ done }) => done);
    for (const { seq, notes } of dead.slice(0, MAX_SWEPT)) {
      for (const note of notes)
        await this.link.request(
          `$JS.API.STREAM.MSG.DELETE.${place.stream}`,
          { seq: note, no_erase: true },
          // Another one may have removed it.
          () => true,
        );
      graves.forget(seq);
    }
  }

  /** A room's tombstones, with all that were noted before this was asked. @throws LinkError */
  async #fresh({ room, stream, deleted }: Place): Promise<Graves> {
    const notes: Whose = { stream, subject: `${deleted}.>` };
    const graves = this.#rooms.get(room) ?? new Graves();
    for (;;) {
      const next = await this.reader.leaderAfter(notes, graves.revision);
      if (!next) break;
      // A replica gives many at once, but may be behind.
      const { messages } = await this.reader.after(
        notes,
        graves.revision,
        Infinity,
      );
      for (const stored of messages.length > 0 ? messages : [next])
        graves.take(stored);
    }
    this.#keep(room, graves);
    return graves;
  }

  #keep(room: string, graves: Graves): void {
    const known = this.#rooms.get(room);
    // Most rooms have none.
    if (!known && graves.revision === 0) return;
    this.#rooms.delete(room);
    this.#rooms.set(room, graves);
    if (known && known !== graves) this.#uncount(known);
    this.#uncount(graves);
    this.#kept += graves.counted = graves.bySeq.size + 1;
    for (const [name, rested] of this.#rooms) {
      if (this.#kept <= MAX_OF_ALL) return;
      this.#rooms.delete(name);
      this.#uncount(rested);
    }
  }

  #uncount(graves: Graves): void {
    this.#kept -= graves.counted;
    graves.counted = 0;
  }
}

/** A note is stored where there is none of its subject. */
const ONLY_FIRST = encodeHeader("Nats-Expected-Last-Subject-Sequence", "0");
const WRONG_LAST_SEQUENCE = 10071;
/** Another one's is on its way through the replicas: not stored, and perhaps it will not be. */
const OTHER_IN_PROCESS = 10164;
const MAX_TRIES = 20;
const RETRY_MS = 50;

interface Ack {
  readonly error?: { readonly err_code: number; readonly description: string };
}

/** As an event that stands in its message's place. */
function toStored({ seq, ts, tag }: Tombstone): Stored {
  const body = encodeDeletion(seq, tag);
  return { seq, prev: 0, ts, body, bytes: Buffer.byteLength(body) };
}

function parsed(body: string): Note | undefined {
  let said: Partial<Note> | null;
  try {
    said = JSON.parse(body) as typeof said;
  } catch {
    return undefined;
  }
  const { seq, ts, tag, next } = said ?? {};
  const isNumber = (value: unknown): boolean =>
    value === undefined || typeof value === "number";
  if (
    typeof seq !== "number" ||
    !isNumber(ts) ||
    !isNumber(next) ||
    (tag !== undefined && typeof tag !== "string")
  )
    return undefined;
  return { seq, ts, tag, next } as Note;
}
