import { expect, test } from "bun:test";
import { Handshakes, MAX_ADDRESSES } from "../../src/gateway/handshakes.ts";
import { MAX_GONE, UserRates } from "../../src/gateway/user-rates.ts";

test("each address may knock so often, whatever others do", () => {
  const handshakes = new Handshakes(10);
  for (let i = 0; i < 100; i++) expect(handshakes.take("a", 0)).toBe(0);
  expect(handshakes.take("a", 0)).toBe(100);
  expect(handshakes.take("b", 0)).toBe(0);
  expect(handshakes.take("a", 100)).toBe(0);
});

test("addresses that knock are remembered, those that were quiet for longest go", () => {
  const handshakes = new Handshakes(1);
  for (let i = 0; i < 10; i++) handshakes.take("busy", 0);
  for (let i = 0; i < 10; i++) handshakes.take("quiet", 0);
  for (let i = 0; i < 2 * MAX_ADDRESSES; i++) {
    handshakes.take(`other ${i}`, 0);
    if (i % 1000 === 0) expect(handshakes.take("busy", 0)).toBeGreaterThan(0);
  }
  expect(handshakes.take("quiet", 0)).toBe(0);
});

test("a user's connections share one bucket, which is as it was for who comes back soon", () => {
  const rates = new UserRates(10);
  const one = rates.hold("bob", 0);
  const two = rates.hold("bob", 0);
  expect(two).toBe(one);
  expect(rates.hold("ann", 0)).not.toBe(one);
  rates.release("bob", 0);
  expect(rates.size).toBe(2);
  rates.release("bob", 0);
  rates.release("ann", 0);
  expect(rates.size).toBe(0);
  expect(rates.hold("bob", 1999)).toBe(one);
  rates.release("bob", 1999);
  // By then it is full again.
  expect(rates.hold("bob", 3999)).not.toBe(one);
});

test("of users without a connection a bounded number is remembered", () => {
  const rates = new UserRates(10);
  const first = rates.hold("first", 0);
  rates.release("first", 0);
  for (let i = 0; i < MAX_GONE; i++) {
    rates.hold(`${i}`, 0);
    rates.release(`${i}`, 0);
  }
  expect(rates.hold("first", 0)).not.toBe(first);
});
