import {
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { NatsError } from "./link.ts";
import type { Subjects } from "./subjects.ts";

export interface StreamOptions {
  readonly replicas: number;
  /** Ms; Infinity for none. */
  readonly retentionMs: number;
  readonly retentionEventsPerRoom: number;
  readonly dedupeWindowMs: number;
}

/** What this program keeps in a stream's metadata. */
const LIFE = "roomcast-life";
const STREAMS = "roomcast-streams";

const STREAM_NOT_FOUND = 10059;
const NAME_IN_USE = 10058;
const NANOS_PER_MS = 1e6;
/** Each takes 5 s where nobody answers. */
const TRIES = 3;

class Unanswered extends NatsError {}

type Wanted = Pick<
  StreamConfig,
  | "name"
  | "subjects"
  | "storage"
  | "retention"
  | "discard"
  | "num_replicas"
  | "max_age"
  | "max_msgs_per_subject"
  | "duplicate_window"
  | "allow_direct"
  | "republish"
  | "metadata"
>;

/**
 * Makes the streams that are missing and brings the others to what is configured.
 * @param tell is told in a line what was changed
 * @returns the epoch
 * @throws NatsError a stream is another program's, or differs in what cannot change without losing events
 */
export async function ensureStreams(
  jsm: JetStreamManager,
  subjects: Subjects,
  options: StreamOptions,
  tell: (message: string) => void,
): Promise<string> {
  const infos: StreamInfo[] = [];
  for (let index = 0; index < subjects.streams; index++)
    infos.push(
      await insist(() =>
        ensure(jsm, wanted(subjects, index, options), subjects, tell),
      ),
    );
  return epochOf(infos);
}

/** A cluster whose servers make a stream at the same time for several gateways forgets to answer some of them. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++)
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Unanswered) || tries === TRIES) throw error;
    }
}

/** One stream as it should be. */
function wanted(
  subjects: Subjects,
  index: number,
  options: StreamOptions,
): Wanted {
  const nanos = (ms: number): number => Math.round(ms * NANOS_PER_MS);
  return {
    name: subjects.stream(index),
    subjects: [subjects.stored(index), subjects.notes(index, "*")],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    num_replicas: options.replicas,
    max_age: options.retentionMs === Infinity ? 0 : nanos(options.retentionMs),
    max_msgs_per_subject:
      options.retentionEventsPerRoom === Infinity
        ? -1
        : options.retentionEventsPerRoom,
    duplicate_window: nanos(options.dedupeWindowMs),
    allow_direct: true,
    republish: { src: subjects.stored(index), dest: subjects.republished },
    metadata: {
      [LIFE]: newLife(),
      [STREAMS]: String(subjects.streams),
    },
  };
}

const newLife = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(9))).toString("base64url");

async function ensure(
  jsm: JetStreamManager,
  want: Wanted,
  subjects: Subjects,
  tell: (message: string) => void,
): Promise<StreamInfo> {
  const info = await streamInfo(jsm, want.name);
  if (!info) {
    try {
      return await jsm.streams.add(want);
    } catch (error) {
      // Another gateway that starts at the same time was first.
      if (apiError(error) === NAME_IN_USE)
        return ensure(jsm, want, subjects, tell);
      throw explained(error, want.name);
    }
  }
  refuseForeign(info, want, subjects);
  const changes = changed(info.config, want);
  if (Object.keys(changes).length === 0) return info;
  tell(
    `stream ${want.name} changes: ${Object.entries(changes)
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
      .join(", ")}`,
  );
  try {
    return await jsm.streams.update(want.name, { ...info.config, ...changes });
  } catch (error) {
    throw explained(error, want.name);
  }
}

/** @returns undefined where there is no such stream */
export async function streamInfo(
  jsm: JetStreamManager,
  name: string,
): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(name);
  } catch (error) {
    if (apiError(error) === STREAM_NOT_FOUND) return undefined;
    throw explained(error, name);
  }
}

/** @throws NatsError going on would lose or mix events */
function refuseForeign(
  { config }: StreamInfo,
  want: Wanted,
  subjects: Subjects,
): void {
  const refuse = (why: string): never => {
    throw new NatsError(`NATS stream ${want.name} ${why}`);
  };
  if (config.metadata?.[LIFE] === undefined)
    refuse("was not made by roomcast; choose another --nats-prefix");
  // With another number rooms would look for their history in the wrong stream.
  const streams = config.metadata![STREAMS];
  if (streams !== String(subjects.streams))
    refuse(`is one of ${streams}: set --nats-streams ${streams}`);
  const same =
    config.storage === want.storage &&
    config.retention === want.retention &&
    config.discard === want.discard &&
    (config.subjects.join() === want.subjects.join() ||
      // As versions made it that deleted nothing.
      config.subjects.join() === want.subjects[0]) &&
    config.republish?.src === want.republish!.src &&
    config.republish.dest === want.republish!.dest &&
    !config.republish.headers_only &&
    !config.sealed;
  if (!same)
    refuse(
      "has other settings of storage, discarding, subjects or republishing than roomcast gave it; restore that, or choose another --nats-prefix",
    );
  if (config.num_replicas > want.num_replicas)
    refuse(
      `has ${config.num_replicas} replicas: set --nats-replicas ${config.num_replicas}, or take replicas away with the nats command`,
    );
}

/** What may change while events are kept: as in the embedded store, less retention removes what is too much. */
function changed(config: StreamConfig, want: Wanted): Partial<Wanted> {
  const keys = [
    "num_replicas",
    "max_age",
    "max_msgs_per_subject",
    "duplicate_window",
    "allow_direct",
    "subjects",
  ] as const;
  return Object.fromEntries(
    keys
      .filter((key) => String(config[key]) !== String(want[key]))
      .map((key) => [key, want[key]]),
  );
}

/**
 * One life of all streams: their marks, made with them, and the times at which they were created. A restart keeps both,
 * a stream made anew has others.
 */
export function epochOf(infos: readonly StreamInfo[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const { config, created } of infos)
    hasher.update(`${config.metadata?.[LIFE]} ${created}\n`);
  return hasher.digest().subarray(0, 9).toString("base64url");
}

/**
 * Gives a stream a new life: it holds less than was acknowledged, so that positions would come a second time.
 * @throws NatsError
 */
export async function renewLife(
  jsm: JetStreamManager,
  { config }: StreamInfo,
): Promise<void> {
  try {
    await jsm.streams.update(config.name, {
      ...config,
      metadata: { ...config.metadata, [LIFE]: newLife() },
    });
  } catch (error) {
    throw explained(error, config.name);
  }
}

const apiError = (error: unknown): number | undefined =>
  error instanceof JetStreamApiError ? error.apiError().err_code : undefined;

function explained(error: unknown, name: string): NatsError {
  const message = `NATS stream ${name} cannot be used: ${(error as Error).message}`;
  return apiError(error) === undefined
    ? new Unanswered(message)
    : new NatsError(message);
}
