import { roomToken } from "../broker/nats/subjects.ts";

/** Also a subject's token. */
export const NODE_PATTERN = /^[A-Za-z0-9_-]{1,32}$/;

/** @returns an id that no other node has or had */
export function newNodeId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString(
    "base64url",
  );
}

/**
 * What nodes of one installation say to each other, and where. The last token is who says it, so that what a node hears
 * of itself is told apart before it is parsed.
 */
export class NodeSubjects {
  /** That a node lives, and what changed lately. */
  readonly beat: string;
  readonly beats: string;
  /** That it ends. */
  readonly bye: string;
  readonly byes: string;
  /** Who came online at a node. */
  readonly online: string;
  readonly onlines: string;
  /** Asked of all nodes. */
  readonly all: string;
  readonly alls: string;
  /** Told to this node. */
  readonly mine: string;

  constructor(
    private readonly prefix: string,
    readonly node: string,
  ) {
    this.beat = this.#saying("beat");
    this.beats = this.#heard("beat");
    this.bye = this.#saying("bye");
    this.byes = this.#heard("bye");
    this.online = this.#saying("online");
    this.onlines = this.#heard("online");
    this.all = this.#saying("all");
    this.alls = this.#heard("all");
    this.mine = this.#heard(`to.${node}`);
  }

  to(node: string): string {
    return this.#saying(`to.${node}`);
  }

  /** What is said in a room: presence and typing. */
  room(room: string): string {
    return this.#saying(`room.${roomToken(room)}`);
  }

  rooms(room: string): string {
    return this.#heard(`room.${roomToken(room)}`);
  }

  /** @returns who said it */
  static sender(subject: string): string {
    return subject.slice(subject.lastIndexOf(".") + 1);
  }

  #saying(what: string): string {
    return `${this.prefix}.node.${what}.${this.node}`;
  }

  #heard(what: string): string {
    return `${this.prefix}.node.${what}.*`;
  }
}
