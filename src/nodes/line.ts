import type { Msg, Subscription } from "@nats-io/transport-node";
import type { Link } from "../broker/nats/link.ts";
import { NodeSubjects } from "./subjects.ts";
import { pieceBytes } from "./wire.ts";

/** What a node says and hears over its connection to NATS. */
export class Line {
  #closed = false;
  #told = false;

  constructor(
    private readonly link: Link,
    readonly subjects: NodeSubjects,
    /** The node's own beat came back. */
    private readonly echo: () => void,
    private readonly tell: (message: string) => void,
  ) {}

  get up(): boolean {
    return this.link.up;
  }

  /** Bytes of lists in one message. */
  get budget(): number {
    return pieceBytes(this.link.maxPayload);
  }

  send(subject: string, message: object): void {
    this.sendText(subject, JSON.stringify(message));
  }

  sendText(subject: string, body: string): void {
    // The client would keep it until NATS is back, without a bound.
    if (this.link.up) this.link.nc.publish(subject, body);
  }

  /** @param take is not given what this node says itself */
  hear(
    subject: string,
    take: (node: string, msg: Msg) => void,
  ): Subscription | undefined {
    if (this.link.nc.isClosed()) return undefined;
    const { node, beat } = this.subjects;
    return this.link.subscribe(subject, (msg) => {
      if (this.#closed) return;
      const from = NodeSubjects.sender(msg.subject);
      if (from !== node) this.#take(from, msg, take);
      else if (msg.subject === beat) this.echo();
    });
  }

  #take(from: string, msg: Msg, take: (node: string, msg: Msg) => void): void {
    try {
      take(from, msg);
    } catch (error) {
      // Another program's, or another version's: told once, it would come again and again.
      if (this.#told) return;
      this.#told = true;
      this.tell(
        `a message on ${msg.subject} is not understood: ${(error as Error).message}`,
      );
    }
  }

  /** Resolves when NATS has taken everything said so far, or does not answer. */
  flush(): Promise<void> {
    return this.link.flush().catch(() => {});
  }

  /** @returns false where it is certain that nobody else is there */
  async anybody(waitMs: number): Promise<boolean> {
    const hello = this.link.request(
      this.subjects.all,
      { hello: true },
      () => true,
      waitMs,
    );
    return hello.then(
      () => true,
      (error: Error) => !error.message.includes("nobody"),
    );
  }

  /** Hears no more. */
  deafen(): void {
    this.#closed = true;
  }

  close(): Promise<void> {
    return this.link.close();
  }
}
