import { expect, test } from "bun:test";
import { AdmissionCount } from "../../src/gateway/admission.ts";
import { isRefused } from "../../src/gateway/directory.ts";
import { LocalDirectory } from "../../src/gateway/local-directory.ts";
import { GuestCounter, Users } from "../../src/gateway/users.ts";
import { directoryContract } from "./directory-contract.ts";

directoryContract(async (limits, listener) => ({
  directory: new LocalDirectory(
    new AdmissionCount(...limits),
    new Users(new GuestCounter(0, () => {})),
    listener,
  ),
  async close() {},
}));

test("in one process answers are there at once", () => {
  const directory = new LocalDirectory(
    new AdmissionCount(1, 1),
    new Users(new GuestCounter(0, () => {})),
    { presenceChanged: () => {} },
  );
  const place = directory.admit("::1", { kind: "guest", name: "Ann" });
  if (isRefused(place)) throw new Error(place.message);
  expect(directory.enter("r", place)).toBeUndefined();
  expect(directory.members("r").count).toBe(1);
  expect(directory.totals()).toEqual({ connections: 1, users: 1 });
});
