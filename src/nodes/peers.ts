import type { Replica } from "./replica.ts";
import type { Beat, Listed } from "./wire.ts";

/** A question to another node that is not answered yet. */
export interface Asked {
  readonly number: number;
  readonly scopes: readonly string[];
  /** `performance.now()` when it was asked, or answered in part. */
  at: number;
  pieces: number;
  readonly states: Map<number, Gathered>;
}

export interface Gathered {
  readonly version: number;
  /** Undefined: as it was held. */
  readonly users: Listed[] | undefined;
}

/** What this node knows of another one. */
export class Peer {
  connections = 0;
  /** Number of the last beat. */
  beat = 0;
  /** Version that it is known to have told: of scopes without a replica, everything up to it is old. */
  upto = 0;
  /** Scopes that this node is interested in and that have, or had until lately, users there. */
  readonly replicas = new Map<string, Replica>();
  /** Scopes to ask for. */
  readonly wanted = new Set<string>();
  /** Scopes asked for, with the question's number. */
  readonly asking = new Map<string, number>();
  readonly asked = new Map<number, Asked>();

  constructor(
    readonly id: string,
    /** When something was last heard of it: `performance.now()`. */
    public heardAt: number,
  ) {}

  /** Whether a scope's users at this node are not known as they were at its last word. */
  unsure(scope: string): boolean {
    return this.wanted.has(scope) || this.asking.has(scope);
  }
}

export const BEAT_MS = 1000;
/** Without an own beat for this long, nobody else can be said to be silent. */
const ECHO_MS = 1.5 * BEAT_MS;
/** After this long without NATS, what was known of others is no longer shown. */
const FROZEN_MS = 30_000;
/** Far above what one NATS should carry; each costs a message at every beat. */
const MAX_PEERS = 1000;

/**
 * Which other nodes live. A node's own beats come back to it: while they do not, the trouble is on this side (no NATS, or
 * this process was stopped), and the silence of others says nothing.
 */
export class Peers {
  readonly all = new Map<string, Peer>();
  #echoAt: number;
  /** Of time that passed without an echo, only what this process saw pass. */
  #frozen = 0;
  #lookedAt: number;

  constructor(
    private readonly deadAfterMs: number,
    private readonly events: {
      readonly came: (peer: Peer) => void;
      readonly went: (peer: Peer) => void;
      /** Any of its words may have been missed. */
      readonly gap: (peer: Peer) => void;
      readonly changed: (peer: Peer, beat: Beat) => void;
    },
    now: number,
  ) {
    this.#echoAt = now;
    this.#lookedAt = now;
  }

  /** Whether this node hears what is said over NATS. */
  hears(now: number): boolean {
    return now - this.#echoAt < ECHO_MS;
  }

  /** Peers that can be expected to answer at once. */
  *prompt(now: number): Generator<Peer> {
    if (!this.hears(now)) return;
    for (const peer of this.all.values())
      if (now - peer.heardAt < ECHO_MS) yield peer;
  }

  /** An own beat came back. */
  echo(now: number): void {
    const gap = now - this.#echoAt;
    this.#echoAt = now;
    this.#frozen = 0;
    if (gap < ECHO_MS) return;
    // Others had no chance to be heard meanwhile.
    for (const peer of this.all.values())
      peer.heardAt = Math.min(now, peer.heardAt + gap);
  }

  heard(id: string, beat: Beat, now: number): void {
    let peer = this.all.get(id);
    if (!peer) {
      if (this.all.size === MAX_PEERS) return;
      peer = new Peer(id, now);
      this.all.set(id, peer);
      this.#take(peer, beat, now);
      this.events.came(peer);
      return;
    }
    // Late by way of a connection that the node no longer has.
    if (beat.beat <= peer.beat) return;
    const gap = beat.beat !== peer.beat + 1;
    this.#take(peer, beat, now);
    this.events.changed(peer, beat);
    if (gap) this.events.gap(peer);
  }

  gone(id: string): void {
    const peer = this.all.get(id);
    if (!peer) return;
    this.all.delete(id);
    this.events.went(peer);
  }

  tick(now: number): void {
    // Not the time for which this process was stopped itself.
    const passed = Math.min(now - this.#lookedAt, BEAT_MS);
    this.#lookedAt = now;
    if (this.hears(now)) {
      for (const { id, heardAt } of this.all.values())
        if (now - heardAt > this.deadAfterMs) this.gone(id);
      return;
    }
    this.#frozen += passed;
    if (this.#frozen > FROZEN_MS)
      for (const id of this.all.keys()) this.gone(id);
  }

  #take(peer: Peer, { beat, connections, upto }: Beat, now: number): void {
    peer.heardAt = now;
    peer.beat = beat;
    peer.connections = connections;
    if (upto > peer.upto) peer.upto = upto;
  }
}
