import { AdmissionCount } from "../../src/gateway/admission.ts";
import {
  isRefused,
  type Arrival,
  type DirectoryListener,
  type Place,
  type PresenceTold,
} from "../../src/gateway/directory.ts";
import type { Command } from "../../src/nodes/commands.ts";
import {
  DEAD_AFTER_MS,
  NodeDirectory,
  type NodeEvents,
  type NodeOptions,
} from "../../src/nodes/node-directory.ts";
import { newNodeId } from "../../src/nodes/subjects.ts";
import type { Typing, User } from "../../src/protocol/messages.ts";

export const user = (id: string): User => ({ id, name: id.toUpperCase() });

let prefixes = 0;
/** A prefix that no other test uses. */
export const freshPrefix = (): string => `d${process.pid}-${++prefixes}`;

export function openDirectory(
  options: Pick<NodeOptions, "urls" | "prefix"> & Partial<NodeOptions>,
  admission: AdmissionCount,
  listener: DirectoryListener,
  events: NodeEvents = {
    tell: console.error,
    onEnd: console.error,
    onCommand: () => undefined,
  },
): Promise<NodeDirectory> {
  return NodeDirectory.open(
    {
      node: newNodeId(),
      creds: "",
      ca: "",
      replicas: 1,
      deadAfterMs: DEAD_AFTER_MS,
      ...options,
    },
    admission,
    listener,
    events,
  );
}

/** A node in this process, with what it was told. */
export class TestNode implements AsyncDisposable, DirectoryListener {
  directory!: NodeDirectory;
  readonly id = newNodeId();
  prefix = "";
  readonly told: { room: string; change: PresenceTold }[] = [];
  readonly notes: Typing[] = [];
  readonly commands: Command[] = [];
  readonly messages: string[] = [];
  readonly #watchers = new Set<() => void>();

  static async open(
    urls: string,
    prefix: string,
    options: Partial<NodeOptions> = {},
  ): Promise<TestNode> {
    const node = new TestNode();
    node.prefix = prefix;
    node.directory = await openDirectory(
      { urls, prefix, node: node.id, ...options },
      new AdmissionCount(Infinity, Infinity),
      node,
      {
        tell: (message) => node.messages.push(message),
        onEnd: (reason) => node.messages.push(reason),
        onCommand: (command) => node.commands.push(command),
      },
    );
    return node;
  }

  presenceChanged(room: string, change: PresenceTold): void {
    this.told.push({ room, change });
    for (const look of this.#watchers) look();
  }

  note(note: Typing): void {
    this.notes.push(note);
    for (const look of this.#watchers) look();
  }

  /** Resolves when `reached` holds; looked at after each call of the directory's. */
  until(reached: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!reached()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  async come(who: Arrival): Promise<Place> {
    const admission = await this.directory.admit("::1", who);
    if (isRefused(admission)) throw new Error(admission.message);
    return admission;
  }

  /** A connection of a user comes and enters a room. */
  async enter(room: string, id: string): Promise<Place> {
    const place = await this.come({ kind: "user", user: user(id) });
    await this.directory.enter(room, place);
    return place;
  }

  exit(room: string, place: Place): void {
    this.directory.exit(room, place);
    this.directory.leave(place);
  }

  /** Ids of a room's users, sorted. */
  ids(room: string): string[] {
    return this.directory
      .members(room)
      .members.map(({ id }) => id)
      .toSorted();
  }

  /** Resolves when the room holds these users here. */
  sees(room: string, ...ids: string[]): Promise<void> {
    const wanted = ids.toSorted().join();
    return this.until(() => this.ids(room).join() === wanted);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.directory.close();
  }
}

/** Users online are not told: they are asked for until it is so. */
export async function eventually(reached: () => boolean): Promise<void> {
  while (!reached()) await Bun.sleep(10);
}
