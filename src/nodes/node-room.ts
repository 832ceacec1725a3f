import type { Subscription } from "@nats-io/transport-node";
import type { User } from "../protocol/messages.ts";
import { Presence } from "../gateway/presence.ts";
import type { Peer } from "./peers.ts";
import type { Tally } from "./replica.ts";
import { Roster } from "./roster.ts";

/** A room that somebody here has entered. */
export class NodeRoom implements Tally {
  /** Users here. */
  readonly roster = new Roster();
  /** Users at all nodes, once for each of their connections here and for each other node. */
  readonly presence = new Presence();
  /** Runs while changes are collected: for the connections here, and for the other nodes. */
  tell: Timer | undefined;
  diff: Timer | undefined;
  /** Settles when the other nodes have said who is there, or it is too late; undefined afterwards. */
  ready: Promise<void> | undefined;
  /** `performance.now()` from which on nobody waits any longer. */
  readyBy = 0;
  readonly #unknown = new Set<Peer>();
  #isReady: () => void = () => {};

  constructor(
    readonly name: string,
    /** Where this node tells who is here. */
    readonly subject: string,
    readonly subscription: Subscription | undefined,
  ) {}

  join(user: User): void {
    // Who is found there by a first member has not come just now.
    this.presence.join(user, this.ready !== undefined);
  }

  leave(user: User): void {
    this.presence.leave(user);
  }

  /** Makes those who enter wait for some nodes' answers. */
  await(peers: Iterable<Peer>, readyBy: number): void {
    for (const peer of peers) this.#unknown.add(peer);
    if (this.#unknown.size === 0) return;
    this.readyBy = readyBy;
    this.ready = new Promise((resolve) => (this.#isReady = resolve));
  }

  known(peer: Peer): void {
    this.#unknown.delete(peer);
    if (this.#unknown.size === 0) this.beReady();
  }

  beReady(): void {
    this.#unknown.clear();
    this.ready = undefined;
    this.#isReady();
  }

  close(): void {
    clearTimeout(this.tell);
    clearTimeout(this.diff);
    this.beReady();
    this.subscription?.unsubscribe();
  }
}
