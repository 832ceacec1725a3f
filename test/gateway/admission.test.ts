import { expect, test } from "bun:test";
import fc from "fast-check";
import { AdmissionCount } from "../../src/gateway/admission.ts";

test("a server that is full says so, and how many it takes", () => {
  const admission = new AdmissionCount(2, 10);
  expect(admission.enter("a")).toBeUndefined();
  expect(admission.enter("b")).toBeUndefined();
  expect(admission.enter("c")).toEqual({
    code: "too_many_connections",
    message: "the server has as many connections as it may have (2)",
    limit: "max_connections",
  });
  admission.leave("a");
  expect(admission.enter("c")).toBeUndefined();
});

test("an address that has its share is refused, another is not", () => {
  const admission = new AdmissionCount(10, 2);
  admission.enter("a");
  admission.enter("a");
  expect(admission.enter("a")).toEqual({
    code: "too_many_connections",
    message: "this address has as many connections as it may have (2)",
    limit: "max_connections_per_address",
  });
  expect(admission.enter("b")).toBeUndefined();
});

test("who leaves gives one place back, not those of others at the address", () => {
  const admission = new AdmissionCount(10, 3);
  for (let i = 0; i < 3; i++) admission.enter("a");
  admission.leave("a");
  admission.leave("a");
  expect(admission.enter("a")).toBeUndefined();
  expect(admission.enter("a")).toBeUndefined();
  expect(admission.enter("a")).toBeDefined();
});

test("without limits everybody enters", () => {
  const admission = new AdmissionCount(Infinity, Infinity);
  for (let i = 0; i < 5000; i++) expect(admission.enter("a")).toBeUndefined();
});

test("it agrees with a list of connections, whoever enters and leaves", () => {
  const operation = fc.record({ enter: fc.boolean(), pick: fc.nat() });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 100, size: "max" }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 4 }),
      (operations, max, maxPerAddress) => {
        const admission = new AdmissionCount(max, maxPerAddress);
        const inside: string[] = [];
        for (const { enter, pick } of operations) {
          if (enter) {
            const address = `10.0.0.${pick % 4}`;
            const here = inside.filter((a) => a === address).length;
            const place = inside.length < max && here < maxPerAddress;
            expect(admission.enter(address) === undefined).toBe(place);
            if (place) inside.push(address);
          } else if (inside.length > 0) {
            const [gone] = inside.splice(pick % inside.length, 1);
            admission.leave(gone!);
          }
        }
      },
    ),
  );
});
