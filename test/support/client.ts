import { decode, encode } from "@msgpack/msgpack";

export type Format = "json" | "msgpack" | "text";

/** A decoded frame; in the text format `{ line }`. */
export type Message = Record<string, any>;

interface Waiter {
  readonly wanted: (message: Message) => boolean;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}

/** A client for tests: sends objects, keeps everything it receives, waits for what is wanted. No retries, no state. */
export class Client implements Disposable {
  /** Everything received, in order. */
  readonly received: Message[] = [];
  /** Resolves when the connection has ended. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #waiters = new Set<Waiter>();
  #taken = 0;
  #ended = false;

  private constructor(
    readonly socket: WebSocket,
    readonly format: Format,
  ) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) =>
      this.#receive(event.data as string | ArrayBuffer);
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        this.#ended = true;
        resolve({ code, reason });
        for (const { reject } of this.#waiters)
          reject(new Error(`closed with ${code} ${reason}`));
      };
    });
  }

  /** Opens a connection and waits for its greeting. @param query such as `room=general&name=Bob` */
  static async connect(
    url: string,
    format: Format = "json",
    query = "",
  ): Promise<Client> {
    const socket = new WebSocket(`${url}/chat?${query}`, [
      `roomcast.v1.${format}`,
    ]);
    const client = new Client(socket, format);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`cannot connect to ${url}`));
    });
    await client.next(
      (m) => m.action === "welcome" || m.line?.startsWith("You are connected"),
    );
    return client;
  }

  get welcome(): Message {
    return this.received[0]!;
  }

  get user(): { id: string; name: string } {
    return this.welcome.user;
  }

  send(message: Message | string): void {
    if (typeof message === "string") this.socket.send(message);
    else
      this.socket.send(
        this.format === "msgpack"
          ? encode(message, { ignoreUndefined: true })
          : JSON.stringify(message),
      );
  }

  /** Resolves with the first message, not taken before, that is wanted; messages before it are passed over. */
  next(wanted: (message: Message) => boolean): Promise<Message> {
    while (this.#taken < this.received.length) {
      const message = this.received[this.#taken++]!;
      if (wanted(message)) return Promise.resolve(message);
    }
    if (this.#ended)
      return Promise.reject(new Error("the connection has ended"));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { wanted, resolve, reject };
      this.#waiters.add(waiter);
    });
  }

  nextAction(action: string): Promise<Message> {
    return this.next((m) => m.action === action);
  }

  nextLine(start: string): Promise<Message> {
    return this.next((m) => m.line?.startsWith(start));
  }

  /** Sends and waits for the reply or error with the same `ref`. */
  request(message: Message): Promise<Message> {
    const ref = ++lastRef;
    const reply = this.next((m) => m.ref === ref);
    this.send({ ...message, ref });
    return reply;
  }

  join(room: string, extra: Message = {}): Promise<Message> {
    return this.request({ action: "join_room", room, ...extra });
  }

  say(room: string, text: string, extra: Message = {}): Promise<Message> {
    return this.request({ action: "send_message", room, text, ...extra });
  }

  /** Events received live, in order. */
  events(room: string): Message[] {
    return this.received.filter(
      (m) => m.action === "receive_message" && m.room === room,
    );
  }

  close(): void {
    this.socket.close();
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }

  #receive(data: string | ArrayBuffer): void {
    const message: Message =
      typeof data !== "string"
        ? (decode(new Uint8Array(data)) as Message)
        : this.format === "text"
          ? { line: data }
          : (JSON.parse(data) as Message);
    this.received.push(message);
    // Everything before `#taken` was looked at; a waiter looks at each message once.
    for (const waiter of this.#waiters) {
      if (!waiter.wanted(message)) continue;
      this.#waiters.delete(waiter);
      this.#taken = this.received.length;
      waiter.resolve(message);
      return;
    }
  }
}

let lastRef = 0;
