import type {
  ClientEvents,
  ReceiveMessage,
  Reset,
  Room,
  RoomcastClient,
} from "../../src/client/index.ts";

/** Resolves with the next payload of a client's event that is wanted. */
export function next<E extends keyof ClientEvents>(
  client: RoomcastClient,
  event: E,
  wanted: (payload: ClientEvents[E]) => boolean = () => true,
): Promise<ClientEvents[E]> {
  return new Promise((resolve) => {
    const stop = client.on(event, (payload) => {
      if (!wanted(payload)) return;
      stop();
      resolve(payload);
    });
  });
}

/** Everything a room delivers, as an application would keep it. */
export class Follow {
  readonly messages: ReceiveMessage[] = [];
  readonly resets: Reset[] = [];
  joins = 0;
  #looking = new Set<() => void>();

  constructor(readonly room: Room) {
    room.on("message", (message) => {
      this.messages.push(message);
      this.#changed();
    });
    room.on("reset", (reset) => {
      this.resets.push(reset);
      this.messages.splice(
        0,
        Infinity,
        ...(reset.messages as ReceiveMessage[]),
      );
      this.#changed();
    });
    room.on("joined", () => {
      this.joins++;
      this.#changed();
    });
    room.on("members", () => this.#changed());
  }

  get texts(): string[] {
    return this.messages.map((message) => message.text);
  }

  /** Resolves when `reached` holds; it is looked at after each event. */
  until(reached: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!reached()) return;
        this.#looking.delete(look);
        resolve();
      };
      this.#looking.add(look);
      look();
    });
  }

  untilText(text: string): Promise<void> {
    return this.until(() => this.messages.at(-1)?.text === text);
  }

  #changed(): void {
    for (const look of this.#looking) look();
  }
}

/** "text 0" to "text n-1" */
export function numbered(text: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${text} ${i}`);
}
