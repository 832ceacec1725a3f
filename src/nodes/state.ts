import {
  DiscardPolicy,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
} from "@nats-io/jetstream";
import { SanctionLog, sanctionSubjects } from "./sanction-log.ts";
import { LinkError, NatsError, type Link } from "../broker/nats/link.ts";

const WRONG_LAST_SEQUENCE = 10071;
const WRONG_LAST_SEQUENCE_CONSTANT = 10164;
const NO_MESSAGE = 10037;
const NAME_IN_USE = 10058;
const KEY_BYTES = 32;
/** Attempts to be the first to write, in a row: others then were, each of them. */
const ATTEMPTS = 50;
const MARK = "roomcast-state";

/** The latest message under a subject. Sequence 0: there is none. */
interface Latest {
  readonly seq: number;
  readonly data: Uint8Array;
}

/**
 * What an installation's nodes share and keep: a stream that holds the latest message of each subject. Who writes says
 * what it has read, so that of two writers one is refused.
 */
export class SharedState {
  readonly #js: JetStreamClient;
  readonly sanctions: SanctionLog;

  private constructor(
    private readonly link: Link,
    private readonly jsm: JetStreamManager,
    private readonly prefix: string,
  ) {
    this.#js = jetstream(link.nc);
    this.sanctions = new SanctionLog(link, jsm, this.#js, prefix);
  }

  /**
   * Opens the stream `PREFIX-state`, made if need be.
   * @throws NatsError
   */
  static async open(
    link: Link,
    prefix: string,
    replicas: number,
  ): Promise<SharedState> {
    try {
      const jsm = await jetstreamManager(link.nc);
      await ensure(jsm, prefix, replicas);
      return new SharedState(link, jsm, prefix);
    } catch (error) {
      if (error instanceof NatsError) throw error;
      throw new NatsError(
        `NATS stream ${prefix}-state cannot be used: ${(error as Error).message}`,
      );
    }
  }

  /**
   * The key that signs guest sessions: made by the node that asks first, and the same for all.
   * @returns 32 bytes
   * @throws Error NATS did not answer
   */
  async sessionKey(): Promise<Uint8Array> {
    for (;;) {
      const { seq, data } = await this.#latest("session-key");
      if (seq > 0) return data;
      const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
      if (await this.#write("session-key", key, 0)) return key;
    }
  }

  /**
   * Takes numbers that no other node gets, now or later.
   * @returns the first of `count`
   * @throws Error NATS did not answer
   */
  async takeNumbers(count: number): Promise<number> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { seq, data } = await this.#latest("guests");
      const next = seq === 0 ? 0 : numberIn(data);
      if (await this.#write("guests", `${next + count}`, seq)) return next;
    }
    throw new Error("other nodes were always faster");
  }

  /** Gives the last numbers of those taken back, if nobody took any since. */
  async giveBack(next: number, end: number): Promise<void> {
    const { seq, data } = await this.#latest("guests");
    if (seq > 0 && numberIn(data) === end)
      await this.#write("guests", `${next}`, seq);
  }

  /** From the stream's leader: a replica may be behind. */
  async #latest(name: string): Promise<Latest> {
    // The client would wait for it.
    if (!this.link.up) throw new LinkError("NATS is not there");
    try {
      const message = await this.jsm.streams.getMessage(
        `${this.prefix}-state`,
        { last_by_subj: this.#subject(name) },
      );
      if (message) return { seq: message.seq, data: message.data };
    } catch (error) {
      if (codeOf(error) !== NO_MESSAGE) throw error;
    }
    return { seq: 0, data: new Uint8Array() };
  }

  /** @returns false where somebody has written since `seq` */
  async #write(
    name: string,
    data: Uint8Array | string,
    seq: number,
  ): Promise<boolean> {
    try {
      await this.#js.publish(this.#subject(name), data, {
        expect: { lastSubjectSequence: seq },
      });
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === WRONG_LAST_SEQUENCE || code === WRONG_LAST_SEQUENCE_CONSTANT)
        return false;
      throw error;
    }
  }

  #subject(name: string): string {
    return `${this.prefix}.state.${name}`;
  }
}

function numberIn(data: Uint8Array): number {
  const number = Number(Buffer.from(data).toString());
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Error("the guests' counter in NATS holds no number");
}

const codeOf = (error: unknown): number | undefined =>
  error instanceof JetStreamApiError ? error.apiError().err_code : undefined;

async function ensure(
  jsm: JetStreamManager,
  prefix: string,
  replicas: number,
): Promise<void> {
  const name = `${prefix}-state`;
  const subjects = [`${prefix}.state.*`, sanctionSubjects(prefix)];
  try {
    await jsm.streams.add({
      name,
      subjects,
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_msgs_per_subject: 1,
      allow_direct: true,
      num_replicas: replicas,
      metadata: { [MARK]: "1" },
    });
    return;
  } catch (error) {
    if (codeOf(error) !== NAME_IN_USE) throw error;
  }
  const { config } = await jsm.streams.info(name);
  if (config.metadata?.[MARK] === undefined)
    throw new NatsError(
      `NATS stream ${name} was not made by roomcast; choose another --nats-prefix`,
    );
  // One made before sanctions were kept in it has no place for them.
  const changed =
    config.subjects.join() !== subjects.join() || !config.allow_direct;
  // Fewer replicas than there are is nobody's wish: a node with old settings may start last.
  const num_replicas = Math.max(config.num_replicas, replicas);
  if (changed || num_replicas > config.num_replicas)
    await jsm.streams.update(name, {
      ...config,
      subjects,
      allow_direct: true,
      num_replicas,
    });
}
