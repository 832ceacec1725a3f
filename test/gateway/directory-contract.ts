import { expect, test } from "bun:test";
import {
  isRefused,
  type Admission,
  type Arrival,
  type Directory,
  type DirectoryListener,
  type Place,
  type PresenceTold,
} from "../../src/gateway/directory.ts";
import type { AdmissionCount } from "../../src/gateway/admission.ts";
import type { User } from "../../src/protocol/messages.ts";

/** A directory with nobody in it, and guests' numbers from 0. */
export type OpenDirectory = (
  limits: ConstructorParameters<typeof AdmissionCount>,
  listener: DirectoryListener,
) => Promise<{ directory: Directory; close(): Promise<void> }>;

interface Told {
  readonly room: string;
  readonly change: PresenceTold;
}

class Under implements AsyncDisposable {
  #tell: ((told: Told) => void) | undefined;

  private constructor(
    readonly directory: Directory,
    private readonly close: () => Promise<void>,
  ) {}

  static async open(
    open: OpenDirectory,
    max = Infinity,
    maxPerAddress = Infinity,
  ): Promise<Under> {
    const { directory, close } = await open([max, maxPerAddress], {
      presenceChanged: (room, change) => under.#tell?.({ room, change }),
      note: () => {},
    });
    const under: Under = new Under(directory, close);
    return under;
  }

  /** The next change that is told. */
  told(): Promise<Told> {
    return new Promise((resolve) => (this.#tell = resolve));
  }

  async come(who: Arrival, address = "::1"): Promise<Place> {
    const admission = await this.directory.admit(address, who);
    if (isRefused(admission)) throw new Error(admission.message);
    return admission;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const ann: User = { id: "a", name: "Ann" };
const bob: User = { id: "b", name: "Bob" };
const as = (user: User): Arrival => ({ kind: "user", user });
const code = (admission: Admission): string | undefined =>
  isRefused(admission) ? admission.code : undefined;

/** What every directory does, also where it is the only one of several. */
export function directoryContract(open: OpenDirectory): void {
  test("a user with two connections is one user, until the last one ends", async () => {
    await using under = await Under.open(open);
    const { directory } = under;
    const first = await under.come(as(ann));
    const second = await under.come(as(ann));
    expect(await directory.totals()).toEqual({ connections: 2, users: 1 });
    directory.leave(first);
    expect(directory.users).toBe(1);
    directory.leave(second);
    expect(await directory.totals()).toEqual({ connections: 0, users: 0 });
  });

  test("guests are named, not twice the same, and not like somebody online", async () => {
    await using under = await Under.open(open);
    const named = await under.come({ kind: "guest", name: "user1" });
    const names = [named.user!.name];
    for (let i = 0; i < 2; i++)
      names.push(
        (await under.come({ kind: "guest", name: undefined })).user!.name,
      );
    expect(names).toEqual(["user1", "user0", "user2"]);
  });

  test("nobody takes a place, but is no user", async () => {
    await using under = await Under.open(open, 1);
    const { directory } = under;
    const place = (await directory.admit("x", { kind: "nobody" })) as Place;
    expect(place.user).toBeUndefined();
    expect(await directory.totals()).toEqual({ connections: 0, users: 0 });
    expect(code(await directory.admit("y", { kind: "nobody" }))).toBe(
      "too_many_connections",
    );
    directory.leave(place);
    expect(
      code(await directory.admit("y", { kind: "nobody" })),
    ).toBeUndefined();
  });

  test("who is refused is not online, and takes no guest number", async () => {
    await using under = await Under.open(open, Infinity, 1);
    await under.come(as(ann), "x");
    const guest: Arrival = { kind: "guest", name: undefined };
    expect(code(await under.directory.admit("x", guest))).toBe(
      "too_many_connections",
    );
    expect(under.directory.users).toBe(1);
    expect((await under.come(guest, "y")).user!.name).toBe("user0");
  });

  test("who is in a room is counted at once; changes are told together, and not those of a reconnect", async () => {
    await using under = await Under.open(open);
    const { directory } = under;
    const [a, b] = [await under.come(as(ann)), await under.come(as(bob))];
    let told = under.told();
    await directory.enter("r", a);
    await directory.enter("r", b);
    expect(directory.count("r")).toBe(2);
    expect(await directory.members("r")).toEqual({
      count: 2,
      members: [ann, bob],
    });
    expect(await told).toEqual({
      room: "r",
      change: { joined: [ann, bob], left: [], count: 2 },
    });
    told = under.told();
    directory.exit("r", b);
    await directory.enter("r", b);
    directory.exit("r", a);
    expect(await told).toEqual({
      room: "r",
      change: { joined: [], left: [ann], count: 1 },
    });
    expect(directory.count("other")).toBe(0);
    expect(await directory.members("other")).toEqual({ count: 0, members: [] });
  });

  test("an exit may come after its place was given back", async () => {
    await using under = await Under.open(open);
    const a = await under.come(as(ann));
    await under.directory.enter("r", a);
    under.directory.leave(a);
    expect(under.directory.count("r")).toBe(1);
    under.directory.exit("r", a);
    expect(under.directory.count("r")).toBe(0);
  });
}
