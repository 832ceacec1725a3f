import { BrokerError, type Deletion, type Published } from "../broker.ts";
import { LinkError, type Link } from "./link.ts";
import type { StreamReader } from "./reader.ts";
import { decode } from "./stored.ts";
import type { Place } from "./subjects.ts";
import { ERASED, type Tombstone, type Tombstones } from "./tombstones.ts";

/** Deletions under way. */
const MAX_UNDER_WAY = 1000;
const RETRY_AFTER_MS = 1000;

/**
 * Deletes messages, in steps of which each can be taken again, by any gateway: the message is noted as unwanted, its room is
 * told by an event, the stream erases it, and that all is done is noted too.
 */
export class Deleter {
  /** By seq and room. */
  readonly #underWay = new Map<string, Promise<Deletion>>();

  constructor(
    private readonly link: Link,
    private readonly reader: StreamReader,
    private readonly tombstones: Tombstones,
    private readonly publisher: {
      tell(room: string, target: number): Promise<Published>;
    },
    /** Whether rooms lose their oldest message when one more comes. */
    private readonly limited: boolean,
  ) {}

  /** @throws BrokerError (as a rejection) */
  delete(place: Place, target: number): Promise<Deletion> {
    if (target < 1) return Promise.resolve("missing");
    const key = `${target} ${place.room}`;
    const underWay = this.#underWay.get(key);
    if (underWay) return underWay;
    if (this.#underWay.size >= MAX_UNDER_WAY)
      return Promise.reject(
        new BrokerError(
          "overloaded",
          "too many deletions are under way",
          RETRY_AFTER_MS,
        ),
      );
    const deletion = this.#delete(place, target).finally(() =>
      this.#underWay.delete(key),
    );
    this.#underWay.set(key, deletion);
    return deletion;
  }

  async #delete(place: Place, target: number): Promise<Deletion> {
    let begun = false;
    try {
      const { reader, tombstones } = this;
      // What comes next is asked first: while the message is there, retention has taken nothing after it.
      const next = await this.#nextOf(place, target);
      const message = await reader.leaderAfter(place, target - 1);
      const there = message?.seq === target;
      const known = await tombstones.get(place, target);
      if (known?.done && !there) {
        const left = await tombstones.merge(place, [], target - 1, target);
        return left.length > 0 ? "already" : "missing";
      }
      if (!known) {
        const decoded = there ? decode(place.room, message, 0) : undefined;
        if (decoded?.event.target !== 0) return "missing";
        begun = true;
        await tombstones.write(place, "wanted", {
          seq: target,
          ts: message!.ts,
          tag: decoded.tag,
          next,
        });
      }
      begun = true;
      await this.#finish(place, target, known, next);
      return "deleted";
    } catch (error) {
      if (!(error instanceof LinkError || error instanceof BrokerError))
        throw error;
      throw new BrokerError(
        begun ? "outcome_unknown" : "unavailable",
        begun
          ? `perhaps it is not deleted everywhere: ask again (${error.message})`
          : error.message,
        RETRY_AFTER_MS,
      );
    }
  }

  /** @param known what was noted before by somebody who may not have come to an end, if anything was */
  async #finish(
    place: Place,
    target: number,
    known: Tombstone | undefined,
    next: number | undefined,
  ): Promise<void> {
    const told = known !== undefined && (await this.#isTold(place, known));
    // The event may be what makes retention take the message, without erasing it: then it comes second. It comes first
    // where the message is the room's last: what was last must not go back.
    const eraseFirst = this.limited && next !== undefined;
    let erased = eraseFirst && (await this.#erase(place, target));
    if (!told) await this.publisher.tell(place.room, target);
    if (!eraseFirst) {
      next ??= await this.#nextOf(place, target);
      erased = await this.#erase(place, target);
    }
    if (erased)
      await this.tombstones.write(place, ERASED, { seq: target, next });
    else await this.tombstones.write(place, "done", { seq: target });
    if (this.limited) await this.tombstones.sweep(place);
  }

  /** The seq of the event after a message; undefined where there is none. @throws LinkError */
  async #nextOf(place: Place, target: number): Promise<number | undefined> {
    const next = (await this.reader.leaderAfter(place, target))?.seq;
    // Between them there may have been others that were deleted. Each was noted before it was erased.
    return next === undefined
      ? undefined
      : ((await this.tombstones.firstBetween(place, target, next)) ?? next);
  }

  /**
   * Whether the room was told of a deletion that somebody else began: then the event is above the note, for they are in one
   * stream.
   * @throws LinkError
   */
  async #isTold(place: Place, { seq, notes }: Tombstone): Promise<boolean> {
    let position = notes[0]!;
    for (;;) {
      const { messages } = await this.reader.after(place, position, Infinity);
      const found = [...messages];
      if (found.length === 0) {
        const next = await this.reader.leaderAfter(place, position);
        if (!next) return false;
        found.push(next);
      }
      for (const stored of found)
        if (decode(place.room, stored, 0)?.event.target === seq) return true;
      position = found.at(-1)!.seq;
    }
  }

  /**
   * Overwrites a message on the disk and removes it.
   * @returns false where it was not there any more
   * @throws LinkError
   */
  async #erase(place: Place, seq: number): Promise<boolean> {
    let answer: Answer = {};
    await this.link.request(
      `$JS.API.STREAM.MSG.DELETE.${place.stream}`,
      { seq, no_erase: false },
      (msg) => {
        answer = msg.json<Answer>();
        return true;
      },
    );
    if (answer.success) return true;
    const still = await this.reader.leaderAfter(place, seq - 1);
    if (still?.seq === seq)
      throw new LinkError(
        `NATS did not erase it: ${answer.error?.description}`,
      );
    return false;
  }
}

interface Answer {
  readonly success?: boolean;
  readonly error?: { readonly description: string };
}
