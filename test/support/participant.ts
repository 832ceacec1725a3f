import {
  RoomcastClient,
  type Ack,
  type EventFrame,
  type Position,
  type Room,
} from "../../src/client/index.ts";
import type { Proxy } from "./proxy.ts";
import { Watchers } from "./watchers.ts";

/** What it holds of a room. */
interface Held {
  readonly seq: number;
  readonly text: string;
}

/** A user's program: joins, talks, and keeps what it was told of each room. It comes back, and sends again, by the SDK. */
export class Participant {
  readonly client: RoomcastClient;
  readonly logs = new Map<string, Held[]>();
  readonly acked: { room: string; id: string; text: string; seq: number }[] =
    [];
  readonly pending = new Set<Promise<unknown>>();
  readonly wrong: string[] = [];
  joins = 0;
  #sent = 0;
  readonly #watchers = new Watchers();

  constructor(
    readonly name: string,
    readonly proxy: Proxy,
    readonly echo: boolean,
    format: "json" | "msgpack",
    pingTimeoutMs = 150,
  ) {
    this.client = new RoomcastClient(proxy.url, {
      name,
      format,
      minBackoffMs: 5,
      maxBackoffMs: 40,
      pingIntervalMs: 100,
      pingTimeoutMs,
      connectTimeoutMs: 500,
      sendTimeoutMs: 60_000,
    });
  }

  async join(name: string, since: Position): Promise<void> {
    const log = this.logs.get(name) ?? [];
    this.logs.set(name, log);
    const joining = this.client.join(name, { since, echo: this.echo });
    const room = this.client.rooms.get(name)!;
    let last = since.seq;
    room.on("event", (event: EventFrame) => {
      if (event.seq <= last)
        this.wrong.push(`${name}: event ${event.seq} after ${last}`);
      last = event.seq;
      // What an ack told already must not come again.
      if (log.some((held) => held.seq === event.seq))
        this.wrong.push(`${name}: event ${event.seq} twice`);
      log.push({ seq: event.seq, text: event["text"] as string });
      this.#watchers.changed();
      if (room.position!.seq !== event.seq)
        this.wrong.push(
          `${name}: position ${room.position!.seq} at ${event.seq}`,
        );
    });
    room.on("joined", () => this.joins++);
    room.on("reset", () => this.wrong.push(`${name}: a reset`));
    await joining;
  }

  say(room: Room): void {
    const id = `${this.name}-${++this.#sent}`;
    const text = `${room.name} ${id} ${"x".repeat(this.#sent % 50)}`;
    const done = room.send(text, { id }).then(
      (ack: Ack) => {
        this.acked.push({ room: room.name, id, text, seq: ack.seq });
        const log = this.logs.get(room.name)!;
        const told = log.some((held) => held.seq === ack.seq);
        // A message is told once: as an event, with its ack after it, or, without an echo, by an ack that is no duplicate.
        if (!ack.duplicate && told !== this.echo)
          this.wrong.push(`${id}: ${told ? "told before" : "not told before"}`);
        if (!ack.duplicate && !this.echo) log.push({ seq: ack.seq, text });
      },
      (error) => this.wrong.push(`${id}: ${error}`),
    );
    this.pending.add(done);
    void done.then(() => {
      this.pending.delete(done);
      this.#watchers.changed();
    });
  }

  /** Resolves when `reached` holds; it is looked at after each event and each settled send. */
  until(reached: () => boolean): Promise<void> {
    return this.#watchers.until(reached);
  }
}
