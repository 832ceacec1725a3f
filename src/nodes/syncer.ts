import { Peer, type Asked } from "./peers.ts";
import { Replica, type Tally } from "./replica.ts";
import { ONLINE, type Answer, type Ask, type Beat, type Diff } from "./wire.ts";

/** Questions of one turn share a message, and turns of this long. */
const PACE_MS = 5;
/** A question's scopes, at most: 128 bytes of a room's name each, in JSON at most six times as many. */
const MAX_SCOPES = 250;
/** Questions to one node that are not answered yet, at most. Those of rooms just entered are asked at once. */
const MAX_ASKED = 8;
/** A node that answers many may need longer than one that is alone; until then it is not asked twice. */
const ANSWER_MS = 2000;

/**
 * Keeps replicas of the other nodes' scopes: takes diffs in, finds out what is missing, and asks for it until it is there
 * or the node is gone.
 */
export class Syncer {
  /** Rooms entered lately, of which every node must tell. */
  #fresh = new Set<string>();
  #numbers = 0;
  #timer: Timer | undefined;
  #pumpedAt = -Infinity;

  constructor(
    private readonly parts: {
      readonly peers: ReadonlyMap<string, Peer>;
      /** Where a scope's users are counted; undefined where nobody here is interested. */
      readonly tally: (scope: string) => Tally | undefined;
      /** All scopes that somebody here is interested in. */
      readonly scopes: () => Iterable<string>;
      /** Something may have changed in a scope, or become known. */
      readonly settled: (peer: Peer, scope: string) => void;
      /** @param peer undefined: all */
      readonly send: (peer: Peer | undefined, ask: Ask) => void;
      readonly up: () => boolean;
    },
  ) {}

  /** A room was entered that is not followed yet. */
  follow(room: string): void {
    if (this.parts.peers.size === 0) return;
    for (const peer of this.parts.peers.values()) peer.wanted.add(room);
    this.#fresh.add(room);
    this.#soon();
  }

  /** A room is not followed any longer. */
  forget(room: string): void {
    this.#fresh.delete(room);
    for (const peer of this.parts.peers.values()) {
      peer.replicas.delete(room);
      peer.wanted.delete(room);
      peer.asking.delete(room);
    }
  }

  /** Asks a node for everything: it came, or what it said may have been missed. */
  syncAll(peer: Peer): void {
    for (const scope of this.parts.scopes()) peer.wanted.add(scope);
    this.#soon();
  }

  /** A node is gone, and its users with it. */
  drop(peer: Peer): void {
    const scopes = new Set([
      ...peer.replicas.keys(),
      ...peer.wanted,
      ...peer.asking.keys(),
    ]);
    for (const replica of peer.replicas.values()) replica.clear();
    peer.replicas.clear();
    peer.wanted.clear();
    peer.asking.clear();
    peer.asked.clear();
    for (const scope of scopes) this.parts.settled(peer, scope);
  }

  diff(peer: Peer, scope: string, diff: Diff): void {
    const known = peer.replicas.get(scope);
    // Of a scope where nobody was: it cannot be news. (The beat that tells its version finds out if it was.)
    if (!known && diff.version <= peer.upto) return;
    const replica = known ?? this.#replica(peer, scope);
    if (!replica) return;
    if (diff.version > peer.upto) peer.upto = diff.version;
    replica.apply(diff);
    if (replica.behind) this.#want(peer, scope);
    else this.parts.settled(peer, scope);
  }

  changed(peer: Peer, { changed }: Beat): void {
    for (const [scope, version] of changed) {
      const replica = peer.replicas.get(scope);
      if (!replica) {
        if (this.parts.tally(scope)) this.#want(peer, scope);
        continue;
      }
      if (version > replica.latest) replica.latest = version;
      if (replica.behind) this.#want(peer, scope);
      else if (replica.size === 0) peer.replicas.delete(scope);
    }
  }

  answer(peer: Peer, answer: Answer, now: number): void {
    const asked = peer.asked.get(answer.answer);
    if (!asked) return;
    if (answer.piece !== asked.pieces) {
      this.#failed(peer, asked);
      return;
    }
    asked.pieces++;
    asked.at = now;
    for (const [index, version, users] of answer.states) {
      const gathered = asked.states.get(index);
      if (gathered?.users && users) gathered.users.push(...users);
      else asked.states.set(index, { version, users: users && [...users] });
    }
    if (!answer.last) return;
    peer.asked.delete(asked.number);
    if (answer.upto > peer.upto) peer.upto = answer.upto;
    asked.scopes.forEach((scope, index) => {
      // Forgotten meanwhile, or asked for again.
      if (peer.asking.get(scope) !== asked.number) return;
      peer.asking.delete(scope);
      this.#know(peer, scope, answer.upto, asked.states.get(index));
    });
    this.#soon();
  }

  tick(now: number): void {
    for (const peer of this.parts.peers.values()) {
      for (const asked of peer.asked.values())
        if (now - asked.at > ANSWER_MS) this.#failed(peer, asked);
      if (peer.wanted.size > 0) this.#soon();
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #know(
    peer: Peer,
    scope: string,
    upto: number,
    state: { version: number; users: Diff["joined"] | undefined } | undefined,
  ): void {
    const replica =
      peer.replicas.get(scope) ??
      (state?.users ? this.#replica(peer, scope) : undefined);
    if (!state) {
      replica?.replace(upto, []);
      if (replica && !replica.behind) peer.replicas.delete(scope);
    } else if (state.users) replica?.replace(state.version, state.users);
    if (replica?.behind) this.#want(peer, scope);
    this.parts.settled(peer, scope);
  }

  #replica(peer: Peer, scope: string): Replica | undefined {
    const tally = this.parts.tally(scope);
    if (!tally) return undefined;
    const replica = new Replica(tally);
    peer.replicas.set(scope, replica);
    return replica;
  }

  #want(peer: Peer, scope: string): void {
    // What it is asked for already, it may have answered before: then it is wanted again when the answer is here.
    if (peer.asking.has(scope)) return;
    peer.wanted.add(scope);
    this.#soon();
  }

  #failed(peer: Peer, asked: Asked): void {
    peer.asked.delete(asked.number);
    for (const scope of asked.scopes)
      if (peer.asking.get(scope) === asked.number) {
        peer.asking.delete(scope);
        peer.wanted.add(scope);
      }
    this.#soon();
  }

  #soon(): void {
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        this.#pump(performance.now());
      },
      Math.max(0, this.#pumpedAt + PACE_MS - performance.now()),
    );
  }

  #pump(now: number): void {
    this.#pumpedAt = now;
    if (!this.parts.up()) return;
    // To all at once what all are asked for.
    const fresh = [...this.#fresh];
    this.#fresh = new Set();
    const peers = [...this.parts.peers.values()];
    for (let i = 0; i < fresh.length; i += MAX_SCOPES)
      this.#ask(peers, fresh.slice(i, i + MAX_SCOPES), now);
    for (const peer of peers) {
      // Everybody online can be long: rooms do not wait for it.
      if (peer.wanted.has(ONLINE) && !peer.asking.has(ONLINE))
        this.#ask([peer], [ONLINE], now);
      let scopes: string[] = [];
      for (const scope of peer.wanted) {
        if (peer.asked.size >= MAX_ASKED) break;
        if (peer.asking.has(scope)) continue;
        scopes.push(scope);
        if (scopes.length < MAX_SCOPES) continue;
        this.#ask([peer], scopes, now);
        scopes = [];
      }
      if (scopes.length > 0) this.#ask([peer], scopes, now);
    }
  }

  #ask(peers: readonly Peer[], scopes: readonly string[], now: number): void {
    const number = ++this.#numbers;
    for (const peer of peers) {
      peer.asked.set(number, {
        number,
        scopes,
        at: now,
        pieces: 0,
        states: new Map(),
      });
      for (const scope of scopes) {
        peer.wanted.delete(scope);
        peer.asking.set(scope, number);
      }
    }
    const one = peers.length === 1 ? peers[0]! : undefined;
    const held = (scope: string): number =>
      one?.replicas.get(scope)?.version ?? 0;
    this.parts.send(one, {
      ask: number,
      scopes: scopes.map((scope) => [scope, held(scope)]),
    });
  }
}
