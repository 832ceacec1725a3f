import { expect, test } from "bun:test";
import { AdmissionCount } from "../../src/gateway/admission.ts";
import {
  isRefused,
  type Admission,
  type Arrival,
  type Place,
  type PresenceTold,
} from "../../src/gateway/directory.ts";
import { LocalDirectory } from "../../src/gateway/local-directory.ts";
import { GuestCounter, Users } from "../../src/gateway/users.ts";
import type { User } from "../../src/protocol/messages.ts";

interface Told {
  readonly room: string;
  readonly change: PresenceTold;
}

class Under {
  readonly directory: LocalDirectory;
  #tell: ((told: Told) => void) | undefined;

  constructor(max = Infinity, maxPerAddress = Infinity) {
    this.directory = new LocalDirectory(
      new AdmissionCount(max, maxPerAddress),
      new Users(new GuestCounter(0, () => {})),
      { presenceChanged: (room, change) => this.#tell?.({ room, change }) },
    );
  }

  /** The next change that is told. */
  told(): Promise<Told> {
    return new Promise((resolve) => (this.#tell = resolve));
  }

  come(who: Arrival, address = "::1"): Place {
    const admission = this.directory.admit(address, who);
    if (isRefused(admission)) throw new Error(admission.message);
    return admission;
  }
}

const ann: User = { id: "a", name: "Ann" };
const bob: User = { id: "b", name: "Bob" };
const as = (user: User): Arrival => ({ kind: "user", user });
const code = (admission: Admission): string | undefined =>
  isRefused(admission) ? admission.code : undefined;

test("a user with two connections is one user, until the last one ends", () => {
  const under = new Under();
  const { directory } = under;
  const first = under.come(as(ann));
  const second = under.come(as(ann));
  expect(directory.totals()).toEqual({ connections: 2, users: 1 });
  directory.leave(first);
  expect(directory.users).toBe(1);
  directory.leave(second);
  expect(directory.totals()).toEqual({ connections: 0, users: 0 });
});

test("guests are named, not twice the same, and not like somebody online", () => {
  const under = new Under();
  const named = under.come({ kind: "guest", name: "user1" });
  const names = [named.user!.name];
  for (let i = 0; i < 2; i++)
    names.push(under.come({ kind: "guest", name: undefined }).user!.name);
  expect(names).toEqual(["user1", "user0", "user2"]);
});

test("nobody takes a place, but is no user", () => {
  const { directory } = new Under(1);
  const place = directory.admit("x", { kind: "nobody" }) as Place;
  expect(place.user).toBeUndefined();
  expect(directory.totals()).toEqual({ connections: 0, users: 0 });
  expect(code(directory.admit("y", { kind: "nobody" }))).toBe(
    "too_many_connections",
  );
  directory.leave(place);
  expect(code(directory.admit("y", { kind: "nobody" }))).toBeUndefined();
});

test("who is refused is not online, and takes no guest number", () => {
  const under = new Under(Infinity, 1);
  under.come(as(ann), "x");
  const guest: Arrival = { kind: "guest", name: undefined };
  expect(code(under.directory.admit("x", guest))).toBe("too_many_connections");
  expect(under.directory.users).toBe(1);
  expect(under.come(guest, "y").user!.name).toBe("user0");
});

test("who is in a room is counted at once; changes are told together, and not those of a reconnect", async () => {
  const under = new Under();
  const { directory } = under;
  const [a, b] = [under.come(as(ann)), under.come(as(bob))];
  let told = under.told();
  directory.enter("r", a);
  directory.enter("r", b);
  expect(directory.count("r")).toBe(2);
  expect(directory.members("r")).toEqual({ count: 2, members: [ann, bob] });
  expect(await told).toEqual({
    room: "r",
    change: { joined: [ann, bob], left: [], count: 2 },
  });
  told = under.told();
  directory.exit("r", b);
  directory.enter("r", b);
  directory.exit("r", a);
  expect(await told).toEqual({
    room: "r",
    change: { joined: [], left: [ann], count: 1 },
  });
  expect(directory.count("other")).toBe(0);
  expect(directory.members("other")).toEqual({ count: 0, members: [] });
});

test("an exit may come after its place was given back", () => {
  const under = new Under();
  const a = under.come(as(ann));
  under.directory.enter("r", a);
  under.directory.leave(a);
  expect(under.directory.count("r")).toBe(1);
  under.directory.exit("r", a);
  expect(under.directory.count("r")).toBe(0);
});
