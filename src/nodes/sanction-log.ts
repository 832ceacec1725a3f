import {
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
} from "@nats-io/jetstream";
import { RequestError } from "@nats-io/transport-node";
import { BrokerError } from "../broker/broker.ts";
import { LinkError, type Link } from "../broker/nats/link.ts";
import { StreamReader } from "../broker/nats/reader.ts";
import type { Stored } from "../broker/nats/stored.ts";
import type { Place } from "../broker/nats/subjects.ts";
import type { Sanction } from "../data/sanctions-file.ts";

const WRITE_MS = 2000;
const RETRY_AFTER_MS = 1000;
const BATCH_MESSAGES = 512;

/** The latest message about one kind of sanction of one user in one room. */
export interface LoggedSanction {
  readonly seq: number;
  /** Lifted where `until` is 0; undefined where it is not understood. */
  readonly sanction: Sanction | undefined;
}

/** What tells sanctions apart: one of a kind for each user and room. */
export const sanctionKey = ({
  kind,
  user,
  room,
}: Omit<Sanction, "until">): string => `${kind} ${user.length} ${user}${room}`;

/** The subjects of sanctions in an installation's stream of state. */
export const sanctionSubjects = (prefix: string): string =>
  `${prefix}.state.sanction.*`;

/**
 * Sanctions in the stream `PREFIX-state`: of each the latest message, so that whoever reads what follows a position has
 * missed nothing that still holds.
 */
export class SanctionLog {
  readonly #reader: StreamReader;
  readonly #place: Place;

  constructor(
    private readonly link: Link,
    private readonly jsm: JetStreamManager,
    private readonly js: JetStreamClient,
    private readonly prefix: string,
  ) {
    this.#reader = new StreamReader(link);
    this.#place = {
      room: "",
      index: 0,
      stream: `${prefix}-state`,
      subject: sanctionSubjects(prefix),
      live: "",
      deleted: "",
    };
  }

  get up(): boolean {
    return this.link.up;
  }

  /** Connections to NATS after the first. */
  get reconnects(): number {
    return this.link.reconnects;
  }

  /**
   * What some replica has, ascending: it may lag, and perhaps none answers. `after` tells what is missing at the end.
   */
  async some(): Promise<LoggedSanction[]> {
    const found: LoggedSanction[] = [];
    for (;;) {
      const position = found.at(-1)?.seq ?? 0;
      const { messages, pending } = await this.#reader
        .after(this.#place, position, BATCH_MESSAGES)
        .catch((error: unknown) => {
          if (error instanceof LinkError) return { messages: [], pending: 0 };
          throw error;
        });
      for (const stored of messages) found.push(logged(stored));
      if (messages.length === 0 || pending === 0) return found;
    }
  }

  /**
   * The first above a position, as the stream's leader knows it; undefined where there is none.
   * @throws LinkError
   */
  async after(position: number): Promise<LoggedSanction | undefined> {
    const stored = await this.#reader.leaderAfter(this.#place, position);
    return stored && logged(stored);
  }

  /**
   * @returns its seq
   * @throws BrokerError `unavailable`: it is not stored; `outcome_unknown`: perhaps it is
   */
  async write(sanction: Sanction): Promise<number> {
    const { kind, user, room, until } = sanction;
    // The client would wait for it, and send it then.
    if (!this.link.up) throw unavailable("NATS is not there");
    const token = Bun.CryptoHasher.hash(
      "sha256",
      sanctionKey(sanction),
      "base64url",
    );
    try {
      const { seq } = await this.js.publish(
        `${this.prefix}.state.sanction.${token}`,
        JSON.stringify({ kind, user, room, until }),
        { timeout: WRITE_MS },
      );
      return seq;
    } catch (error) {
      const { message, cause } = error as Error;
      // NATS itself says so, or nobody was there to hear it.
      if (
        error instanceof JetStreamApiError ||
        (cause instanceof RequestError && cause.isNoResponders())
      )
        throw unavailable(`NATS refuses it: ${message}`);
      throw new BrokerError(
        "outcome_unknown",
        `NATS did not say whether it is stored: ask again (${message})`,
      );
    }
  }

  /**
   * Removes a message, if nothing took its place yet.
   * @throws Error NATS did not answer
   */
  async remove(seq: number): Promise<void> {
    if (!this.link.up) throw new LinkError("NATS is not there");
    try {
      await this.jsm.streams.deleteMessage(this.#place.stream, seq);
    } catch (error) {
      // Another node was faster.
      if (!(error instanceof JetStreamApiError)) throw error;
    }
  }
}

/** @returns the failure of what was not done, and can be asked for again */
export const unavailable = (message: string): BrokerError =>
  new BrokerError("unavailable", message, RETRY_AFTER_MS);

function logged({ seq, body }: Stored): LoggedSanction {
  return { seq, sanction: parsed(body) };
}

function parsed(body: string): Sanction | undefined {
  let said: Partial<Sanction> | null;
  try {
    said = JSON.parse(body) as typeof said;
  } catch {
    return undefined;
  }
  const { kind, user, room, until } = said ?? {};
  if (
    (kind !== "ban" && kind !== "mute") ||
    typeof user !== "string" ||
    typeof room !== "string" ||
    typeof until !== "number"
  )
    return undefined;
  return { kind, user, room, until };
}
