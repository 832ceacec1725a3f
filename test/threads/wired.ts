import {
  BrokerError,
  type Draft,
  type MainBroker,
  type Published,
  type RoomEvent,
} from "../../src/broker/broker.ts";
import { EmbeddedBroker } from "../../src/broker/embedded/embedded.ts";
import { MemoryStore } from "../../src/broker/embedded/memory-store.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { AdmissionCount } from "../../src/gateway/admission.ts";
import type {
  DirectoryListener,
  PresenceTold,
} from "../../src/gateway/directory.ts";
import { LocalDirectory } from "../../src/gateway/local-directory.ts";
import { GuestCounter, Users } from "../../src/gateway/users.ts";
import type { LogEntry, Typing } from "../../src/protocol/messages.ts";
import { Channel } from "../../src/threads/channel.ts";
import { Hub } from "../../src/threads/hub.ts";
import { Link } from "../../src/threads/link.ts";
import {
  ThreadBroker,
  type ThreadRoom,
} from "../../src/threads/thread-broker.ts";
import { ThreadDirectory } from "../../src/threads/thread-directory.ts";
import {
  TO_HUB,
  TO_THREAD,
  type Part,
  type ToHub,
  type ToThread,
} from "../../src/threads/wire.ts";

/** Batches on their way in one direction; while it is held they wait. */
export class Wire {
  #waiting: Part[][] = [];
  #held = false;

  constructor(private readonly receive: (batch: Part[]) => void) {}

  readonly post = (batch: Part[]): void => {
    // As between threads: a copy, later.
    this.#waiting.push(structuredClone(batch));
    setImmediate(this.#run);
  };

  /** Bytes of text and the like that wait. */
  get waitingBytes(): number {
    return this.#waiting
      .flat()
      .reduce<number>((sum, part) => sum + (String(part).length ?? 0), 0);
  }

  hold(): void {
    this.#held = true;
  }

  /** Lets one batch through. */
  pass(): void {
    const batch = this.#waiting.shift();
    if (batch) this.receive(batch);
  }

  release(): void {
    this.#held = false;
    this.#run();
  }

  readonly #run = (): void => {
    while (!this.#held && this.#waiting.length > 0)
      this.receive(this.#waiting.shift()!);
  };
}

/** A hub over memory, and threads that are none: their ends of the channels are in this thread. */
export class WiredHub implements AsyncDisposable {
  readonly hub: Hub;
  readonly #broker: EmbeddedBroker<any>;

  constructor(
    flags: readonly string[] = [],
    private readonly maxBytes?: number,
  ) {
    const config = loadConfig(parseCommandLine([...flags]), {});
    this.hub = new Hub(config, process.stderr);
    this.#broker = new EmbeddedBroker(
      new MemoryStore({
        dedupeWindowMs: 600_000,
        dedupeMaxKeys: 10_000,
        retentionMs: Infinity,
        retentionEventsPerRoom: config.retentionEventsPerRoom,
        maxBytes: config.memoryHistoryBytes,
      }),
      this.hub.deliver,
      { ...config, busyEventsPerMs: 3 },
    );
    const directory = new LocalDirectory(
      new AdmissionCount(
        config.maxConnections,
        config.maxConnectionsPerAddress,
      ),
      new Users(new GuestCounter(0, () => {})),
      this.hub,
    );
    this.hub.backend = { broker: slowToRead(this.#broker), directory };
  }

  connect(room?: ThreadRoom): WiredThread {
    return new WiredThread(this.hub, this.maxBytes, room);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker.close();
  }
}

/** A broker whose answers take a turn of the event loop, in which more may be published. */
function slowToRead<Origin>(broker: MainBroker<Origin>): MainBroker<Origin> {
  return {
    epoch: broker.epoch,
    ready: true,
    publish: broker.publish.bind(broker),
    subscribe: broker.subscribe.bind(broker),
    unsubscribe: broker.unsubscribe.bind(broker),
    reaches: broker.reaches.bind(broker),
    repeat: broker.repeat.bind(broker),
    delete: broker.delete.bind(broker),
    flush: broker.flush.bind(broker),
    close: broker.close.bind(broker),
    async read(room, range) {
      const page = await broker.read(room, range);
      await new Promise((resolve) => setImmediate(resolve));
      return page;
    },
  };
}

export interface Delivered {
  readonly event: RoomEvent;
  readonly origin: string | undefined;
}

/** A thread's ends of channel, broker and directory; what they tell is kept. */
export class WiredThread implements DirectoryListener {
  readonly delivered: Delivered[] = [];
  readonly told: { room: string; told: PresenceTold }[] = [];
  readonly notes: Typing[] = [];
  readonly link: Link;
  readonly broker: ThreadBroker<string>;
  readonly directory: ThreadDirectory;
  readonly toThread: Wire;
  readonly toHub: Wire;
  readonly #channel: Channel<ToHub, ToThread>;

  /**
   * @param maxBytes what may be under way to the thread
   * @param room what the gateway would know of every room
   */
  constructor(hub: Hub, maxBytes: number | undefined, room?: ThreadRoom) {
    const channel = (): Channel<ToHub, ToThread> => this.#channel;
    this.broker = new ThreadBroker<string>(
      hub.broker.epoch,
      channel,
      (_name, entry, origin) => {
        const event = {
          text: "",
          dataBytes: 0,
          target: 0,
          ...(entry.message as LogEntry),
          prev: entry.prev,
        } as unknown as RoomEvent;
        this.delivered.push({ event, origin });
        return room;
      },
      hub.config.maxUncommittedEvents,
    );
    this.directory = new ThreadDirectory(channel, this);
    this.toThread = new Wire((batch) => this.#channel.receive(batch));
    this.toHub = new Wire((batch) => this.link.channel.receive(batch));
    this.link = new Link(hub, this.toThread.post, maxBytes);
    this.#channel = new Channel<ToHub, ToThread>({
      post: this.toHub.post,
      out: TO_HUB,
      in: TO_THREAD,
      handlers: {
        ...this.broker.calls,
        ...this.directory.calls,
        apiAnswered: () => {},
        carryOut: () => {},
        listen: () => {},
        tls: () => {},
        inspect: () => {},
        metrics: () => {},
        stats: () => {},
        refuse: () => {},
        drain: () => {},
        stop: () => {},
        beat: () => {},
      },
      later: setImmediate,
      ...(maxBytes === undefined ? {} : { peerMaxBytes: maxBytes }),
    });
  }

  presenceChanged(room: string, told: PresenceTold): void {
    this.told.push({ room, told });
  }

  note(note: Typing): void {
    this.notes.push(note);
  }

  /** Texts of a room's events, in the order in which they came. */
  texts(room: string): string[] {
    return this.delivered
      .filter(({ event }) => event.room === room)
      .map(({ event }) => event.text);
  }

  /** Everything said before is answered, and everything that it led to has come. */
  async settled(): Promise<void> {
    await this.broker.flush();
    await this.directory.totals();
  }

  say(
    room: string,
    text: string,
    extra: Partial<Draft> = {},
  ): Promise<Published | BrokerError> {
    const draft: Draft = {
      room,
      user: "u",
      from: "U",
      text,
      id: undefined,
      data: undefined,
      dataJson: undefined,
      ...extra,
    };
    return new Promise((resolve) =>
      this.broker.publish(draft, text, (_draft, _origin, outcome) =>
        resolve(outcome),
      ),
    );
  }
}
