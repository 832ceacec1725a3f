import { Deque } from "../collections/deque.ts";
import { BrokerError, type Draft } from "../broker/broker.ts";
import type { Data } from "../protocol/messages.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { checkData, checkText } from "../protocol/validate.ts";
import { WebhookError, type Endpoint } from "./endpoint.ts";
import type { HookFigures } from "./figures.ts";

/** Drafts of one room that wait for the application or for those before them; more are `overloaded`. */
const MAX_WAITING_PER_ROOM = 256;
/** The same over all rooms. */
const MAX_WAITING = 10_000;
/** Questions under way: at most so many of a room, so that one room does not take all. */
const MAX_ASKED_PER_ROOM = 16;
const MAX_ASKED = 128;
const RETRY_AFTER_MS = 1000;

export interface BeforeSendOptions {
  /** What becomes of a message about which the application says nothing: `open` sends it, `closed` refuses it. */
  readonly failure: "open" | "closed";
  readonly maxTextBytes: number;
  readonly maxDataBytes: number;
  /** Told of failures, at most one line a second. */
  readonly tell: (message: string) => void;
}

type Verdict = Draft | BrokerError;

interface Waiting {
  readonly draft: Draft;
  readonly then: (verdict: Verdict) => void;
  asked: boolean;
  verdict: Verdict | undefined;
}

interface Lane {
  readonly waiting: Deque<Waiting>;
  asked: number;
}

/**
 * Asks the application about each message before it is sent. Several of a room are asked about at a time; they go on in the
 * order in which they came.
 */
export class BeforeSend {
  readonly #lanes = new Map<string, Lane>();
  /** Lanes with something to ask, in turn. */
  readonly #turns = new Set<Lane>();
  #asked = 0;
  #waiting = 0;
  #ids = 0;
  readonly #run = crypto.randomUUID();
  #toldAt = -Infinity;
  readonly #counts = { taken: 0, failed: 0 };
  #idle: (() => void)[] = [];

  constructor(
    private readonly endpoint: Endpoint,
    private readonly options: BeforeSendOptions,
  ) {}

  get figures(): HookFigures {
    return { ...this.#counts, waiting: this.#waiting };
  }

  /** @param then called once, with the draft as it is to be sent, or why it is not */
  ask(draft: Draft, then: (verdict: Verdict) => void): void {
    const lane = this.#lanes.get(draft.room) ?? {
      waiting: new Deque<Waiting>(),
      asked: 0,
    };
    if (
      lane.waiting.length >= MAX_WAITING_PER_ROOM ||
      this.#waiting >= MAX_WAITING
    ) {
      const message = "too many messages wait for the application";
      then(new BrokerError("overloaded", message, RETRY_AFTER_MS));
      return;
    }
    this.#lanes.set(draft.room, lane);
    lane.waiting.push({ draft, then, asked: false, verdict: undefined });
    this.#waiting++;
    this.#turns.add(lane);
    this.#pump();
  }

  /** Resolves when nothing waits. */
  settled(): Promise<void> {
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    for (const lane of this.#turns) {
      if (this.#asked >= MAX_ASKED) return;
      this.#turns.delete(lane);
      const next = nextOf(lane);
      if (!next || lane.asked >= MAX_ASKED_PER_ROOM) continue;
      void this.#ask(lane, next);
      // Behind those of other rooms.
      this.#turns.add(lane);
    }
  }

  async #ask(lane: Lane, waiting: Waiting): Promise<void> {
    waiting.asked = true;
    lane.asked++;
    this.#asked++;
    waiting.verdict = await this.#verdict(waiting.draft);
    lane.asked--;
    this.#asked--;
    this.#release(lane);
    this.#turns.add(lane);
    this.#pump();
    if (this.#waiting > 0) return;
    for (const resolve of this.#idle) resolve();
    this.#idle = [];
  }

  /** Those at the front that are decided go on. */
  #release(lane: Lane): void {
    const { waiting } = lane;
    while (waiting.length > 0 && waiting.at(waiting.start).verdict) {
      const { then, verdict, draft } = waiting.shift()!;
      this.#waiting--;
      if (waiting.length === 0) this.#lanes.delete(draft.room);
      then(verdict!);
    }
  }

  async #verdict(draft: Draft): Promise<Verdict> {
    const { room, user, from, text, id, data } = draft;
    try {
      const answer = await this.endpoint.post(
        `${this.#run}-${++this.#ids}`,
        JSON.stringify({
          type: "before_send",
          message: { room, user, from, text, id, data },
        }),
      );
      const verdict = this.#apply(draft, answer);
      this.#counts.taken++;
      return verdict;
    } catch (error) {
      if (!(error instanceof WebhookError)) throw error;
      this.#counts.failed++;
      this.#tell(`before_send: ${error.message}`);
      if (this.options.failure === "open") return draft;
      return new BrokerError(
        "unavailable",
        "the application that decides about messages does not answer",
        RETRY_AFTER_MS,
      );
    }
  }

  /** @throws WebhookError the answer is none */
  #apply(draft: Draft, answer: string): Verdict {
    const { refuse, text, data } = parse(answer);
    if (refuse !== undefined)
      return new BrokerError("refused", refuse || "the message is refused");
    if (text === undefined && data === undefined) return draft;
    try {
      if (text !== undefined) checkText(text, this.options.maxTextBytes);
      const dataJson = data && checkData(data, this.options.maxDataBytes);
      return {
        ...draft,
        text: text ?? draft.text,
        ...(data === undefined
          ? {}
          : { data: data ?? undefined, dataJson: dataJson ?? undefined }),
      };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw new WebhookError(`its answer cannot be used: ${error.message}`);
    }
  }

  #tell(message: string): void {
    const now = performance.now();
    if (now - this.#toldAt < 1000) return;
    this.#toldAt = now;
    this.options.tell(message);
  }
}

/** The first of a lane that was not asked about. */
function nextOf({ waiting }: Lane): Waiting | undefined {
  for (let i = waiting.start; i < waiting.end; i++) {
    const one = waiting.at(i);
    if (!one.asked) return one;
  }
  return undefined;
}

interface Answer {
  /** Why it is refused; the sender reads it. */
  readonly refuse?: string;
  /** What is sent instead. */
  readonly text?: string;
  /** The same; null for none. */
  readonly data?: Data | null;
}

const MAX_REASON = 200;

/** @throws WebhookError */
function parse(body: string): Answer {
  if (body.trim() === "") return {};
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    throw new WebhookError("its answer is not JSON");
  }
  if (!isAnswer(answer))
    throw new WebhookError(
      "its answer is no object with refuse (text), text (text) or data (an object or null)",
    );
  const { refuse } = answer;
  return {
    ...answer,
    ...(refuse === undefined ? {} : { refuse: refuse.slice(0, MAX_REASON) }),
  };
}

function isAnswer(value: unknown): value is Answer {
  if (!isObject(value)) return false;
  const { refuse, text, data } = value;
  return (
    (refuse === undefined || typeof refuse === "string") &&
    (text === undefined || typeof text === "string") &&
    (data === undefined || data === null || isObject(data))
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
