import { readFileSync } from "node:fs";
import {
  connect,
  createInbox,
  credsAuthenticator,
  type Authenticator,
  type Msg,
  type NatsConnection,
  type NodeConnectionOptions,
  type Subscription,
} from "@nats-io/transport-node";
import { NATS_URLS_ALLOWED, readNatsUrls } from "../../config/nats-urls.ts";
import { Wire, type TakeWire, type WireMessage } from "./wire.ts";

export interface LinkOptions {
  /** `nats://` or `tls://` URLs, parted by commas; user, password or token in them. */
  readonly urls: string;
  /** Files, or "" for none. */
  readonly creds: string;
  readonly ca: string;
}

/** NATS cannot be used as it is configured: one line that says why. */
export class NatsError extends Error {}

/** NATS did not answer in time, or the connection is gone. */
export class LinkError extends Error {}

export interface LinkEvents {
  readonly onUp: () => void;
  readonly onDown: () => void;
  /** For good: no reconnect follows. */
  readonly onClosed: (reason: string) => void;
}

/** Whoever a reply is for. */
export interface Addressee {
  answer(msg: Msg): void;
}

/** A subscription by `listen`. */
export interface Ears {
  close(): void;
}

/** A dead server is noticed after three of them. */
const PING_MS = 1000;
/** A server that accepts connections and then says nothing: a stopped process does. */
const DIAL_MS = 2000;
const RECONNECT_MS = 250;

/**
 * The connection to NATS. Replies of all kinds come to one inbox and are told apart by a number, so that a request costs
 * neither a subscription nor a timer of its own.
 */
export class Link {
  #up = true;
  #downAt = 0;
  #reconnects = 0;
  #closed = false;
  readonly #addressees = new Map<string, Addressee>();
  readonly #inbox: string;
  #replies = 0;
  #flush: Promise<void> | undefined;

  private constructor(
    readonly nc: NatsConnection,
    /** Addresses of the servers that were given. */
    readonly servers: string,
    private readonly next: NextServer,
    private readonly wire: Wire,
    private readonly events: LinkEvents,
  ) {
    this.#inbox = `${createInbox()}.`;
    nc.subscribe(`${this.#inbox}*`, {
      callback: (error, msg) => {
        if (error) return;
        this.#addressees
          .get(msg.subject.slice(this.#inbox.length))
          ?.answer(msg);
      },
    });
    void this.#watch();
    void nc.closed().then((error) => {
      this.#down();
      if (!this.#closed) this.events.onClosed(error?.message ?? "closed");
    });
  }

  /** @throws NatsError NATS is not there, or refuses */
  static async open(options: LinkOptions, events: LinkEvents): Promise<Link> {
    const { servers, authenticator, tls } = parseUrls(options);
    const next: NextServer = { not: undefined };
    try {
      const nc = await connect({
        servers,
        name: "roomcast",
        ...(authenticator.length > 0 ? { authenticator } : {}),
        ...(tls ? { tls } : {}),
        timeout: DIAL_MS,
        pingInterval: PING_MS,
        maxPingOut: 2,
        reconnectTimeWait: RECONNECT_MS,
        maxReconnectAttempts: -1,
        // A server that is starting may not know its users yet.
        ignoreAuthErrorAbort: true,
        reconnectToServer(pool) {
          // Once: if no other is there, this one is better than none.
          const { not } = next;
          next.not = undefined;
          return pool.find(({ listen }) => listen !== not) ?? pool[0]!;
        },
        // A stack for each request costs more than the request.
        noAsyncTraces: true,
      });
      const wire = Wire.over(nc);
      if (wire) return new Link(nc, servers.join(", "), next, wire, events);
      await nc.close();
    } catch (error) {
      const { message } = error as Error;
      // The client's words where a connection is refused.
      const why = message.includes("undefined error")
        ? "nobody listens there"
        : message;
      throw new NatsError(
        `NATS at ${servers.join(", ")} cannot be used: ${why}`,
      );
    }
    throw new NatsError(
      "this version of @nats-io/transport-node is not known: install the one that package.json names",
    );
  }

  get up(): boolean {
    return this.#up;
  }

  /** Connections after the first. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Ms since the connection was lost; 0 while it is there. */
  get downFor(): number {
    return this.#up ? 0 : performance.now() - this.#downAt;
  }

  /** Bytes of a message's headers and body, at most. */
  get maxPayload(): number {
    return this.nc.info?.max_payload ?? 1024 * 1024;
  }

  /** Gives an address to answer to. `forget` must follow. */
  address(to: Addressee): string {
    const token = (++this.#replies).toString(36);
    this.#addressees.set(token, to);
    return `${this.#inbox}${token}`;
  }

  forget(address: string): void {
    this.#addressees.delete(address.slice(this.#inbox.length));
  }

  /**
   * Numbered replies, without a table of who waits for which.
   * @returns what a number is put after to make an address
   */
  replies(take: (number: number, message: WireMessage) => void): string {
    const prefix = `${createInbox()}.`;
    this.listen(`${prefix}*`, (message) =>
      take(message.numberFrom(prefix.length), message),
    );
    return prefix;
  }

  /**
   * Publishes with headers, at the end of this task.
   * @param headers as `encodeHeader` gives them
   * @param length bytes of the body in UTF-8
   * @throws Error the connection is closed
   */
  publish(
    subject: string,
    body: string,
    length: number,
    reply: string,
    headers: string,
  ): void {
    if (this.nc.isClosed()) throw new LinkError("NATS is closed");
    this.wire.publish(subject, reply, headers, body, length);
  }

  /**
   * Sends a request and hands every answer to `take`, until it returns true.
   * @throws LinkError
   */
  request(
    subject: string,
    body: object,
    take: (msg: Msg) => boolean,
    timeoutMs = REQUEST_MS,
    headers?: string,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        clearTimeout(timer);
        this.forget(address);
        if (error) reject(error);
        else resolve();
      };
      const address = this.address({
        answer: (msg) => {
          if (isNoResponders(msg)) {
            end(new LinkError("nobody in NATS answers"));
            return;
          }
          try {
            if (take(msg)) end();
          } catch (error) {
            end(error as Error);
          }
        },
      });
      const timer = setTimeout(
        () => end(new LinkError("NATS did not answer in time")),
        timeoutMs,
      );
      if (!this.#up) end(new LinkError("NATS is not there"));
      else if (headers === undefined)
        this.nc.publish(subject, JSON.stringify(body), { reply: address });
      else {
        const json = JSON.stringify(body);
        const bytes = Buffer.byteLength(json);
        this.publish(subject, json, bytes, address, headers);
      }
    });
  }

  /** @throws LinkError the connection is closed */
  subscribe(subject: string, take: (msg: Msg) => void): Subscription {
    if (this.nc.isClosed()) throw new LinkError("NATS is closed");
    return this.nc.subscribe(subject, {
      callback: (error, msg) => {
        if (!error) take(msg);
      },
    });
  }

  /**
   * Hears a subject on which thousands of messages a second come.
   * @throws LinkError the connection is closed
   */
  listen(subject: string, take: TakeWire): Ears {
    // Whatever comes is taken before it gets there.
    const subscription = this.subscribe(subject, () => {});
    const sid = subscription.getID();
    this.wire.take(sid, take);
    return {
      close: () => {
        this.wire.leave(sid);
        subscription.unsubscribe();
      },
    };
  }

  /**
   * Resolves when the server has processed everything sent so far. Calls of one turn share a round trip.
   * @throws LinkError
   */
  flush(): Promise<void> {
    if (this.#flush) return this.#flush;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#flush = promise;
    queueMicrotask(() => {
      this.#flush = undefined;
      const timer = setTimeout(
        () => reject(new LinkError("NATS did not answer in time")),
        REQUEST_MS,
      );
      this.nc
        .flush()
        .then(resolve, (error: Error) => reject(new LinkError(error.message)))
        .finally(() => clearTimeout(timer));
    });
    return promise;
  }

  /** Leaves the server for another one. @returns false where there is no other, as far as is known */
  moveOn(): boolean {
    const known = this.nc.info?.connect_urls?.length ?? 0;
    if (!this.#up || (this.servers.split(", ").length < 2 && known < 2))
      return false;
    this.next.not = this.nc.getServer();
    void this.nc.reconnect();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.nc.close();
  }

  #down(): void {
    if (!this.#up) return;
    this.#up = false;
    this.#downAt = performance.now();
    this.events.onDown();
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === "disconnect") this.#down();
      else if (status.type === "reconnect") {
        this.#up = true;
        this.#reconnects++;
        this.events.onUp();
      }
    }
  }
}

/** Which server the next connection is to be made to. */
interface NextServer {
  /** Not to this one, while there is another. */
  not: string | undefined;
}

const REQUEST_MS = 2000;

/** NATS's own answer where nobody listens on a subject. */
export function isNoResponders(msg: Msg): boolean {
  return msg.data.length === 0 && msg.headers?.code === 503;
}

/** Headers of a message that has one. @param value ASCII, without line ends */
export const encodeHeader = (name: string, value: string): string =>
  `NATS/1.0\r\n${name}: ${value}\r\n\r\n`;

/** @throws NatsError */
function parseUrls({ urls, creds, ca }: LinkOptions): {
  servers: string[];
  authenticator: Authenticator[];
  tls: NodeConnectionOptions["tls"] | undefined;
} {
  const servers: string[] = [];
  let user: string | undefined;
  let pass: string | undefined;
  let encrypted = false;
  const all = readNatsUrls(urls);
  if (!all)
    throw new NatsError(
      `--nats: the value is not allowed; allowed is ${NATS_URLS_ALLOWED}`,
    );
  for (const url of all) {
    encrypted ||= url.protocol === "tls:";
    if (url.username) user = decodeURIComponent(url.username);
    if (url.password) pass = decodeURIComponent(url.password);
    servers.push(`${url.hostname}:${url.port || "4222"}`);
  }
  const tls = encrypted || ca ? { ...(ca ? { caFile: ca } : {}) } : undefined;
  const authenticator: Authenticator[] = [];
  if (creds) {
    read(creds);
    // Read anew for each connection: credentials expire and are replaced.
    authenticator.push(credsAuthenticator(() => read(creds)));
  }
  // In a URL a name without a password is a token.
  if (user !== undefined)
    authenticator.push(() =>
      pass === undefined ? { auth_token: user } : { user, pass },
    );
  if (ca) read(ca);
  return { servers, authenticator, tls };
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new NatsError(`${file} cannot be read: ${(error as Error).message}`);
  }
}
