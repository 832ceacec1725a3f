import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { SanctionBook } from "../../src/api/sanction-book.ts";
import {
  FOR_GOOD,
  SanctionsFile,
  UNKEPT,
  type Sanction,
} from "../../src/data/sanctions-file.ts";
import type { Order } from "../../src/gateway/orders.ts";
import { Sanctions } from "../../src/gateway/sanctions.ts";
import { TempFolder } from "../support/server.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const ban = (user: string, until = FOR_GOOD): Sanction => ({
  kind: "ban",
  user,
  room: "",
  until,
});

function reach(): { orders: Order[]; carryOut(order: Order): number } {
  const orders: Order[] = [];
  return { orders, carryOut: (order) => orders.push(order) };
}

describe("a book of sanctions", () => {
  test("takes no more than its bound, but for what is in it and in the place of what has ended", async () => {
    const list = new Sanctions();
    const { orders, ...to } = reach();
    const book = new SanctionBook(list, UNKEPT, to);
    for (let i = 0; i < 100_000; i++) list.set(ban(`u${i}`));
    const tooMany = await book.impose(ban("new")).catch((error) => error);
    expect(tooMany).toMatchObject({ status: 409, code: "too_many" });
    expect(list.count).toBe(100_000);
    expect(orders).toEqual([]);
    await book.impose(ban("u5", Date.now() + 60_000));
    list.set(ban("u6", Date.now() - 1));
    await book.impose(ban("new"));
    expect(list.count).toBe(100_000);
    expect(orders).toHaveLength(2);
    book.close();
  });

  test("keeps first: what cannot be kept does not happen", async () => {
    const list = new Sanctions();
    const { orders, ...to } = reach();
    const full = (): never => {
      throw new Error("the disk is full");
    };
    const book = new SanctionBook(
      list,
      { ...UNKEPT, save: full, remove: full },
      to,
    );
    const refused = await book.impose(ban("ann")).catch((error) => error);
    expect(refused).toMatchObject({ status: 503, code: "unavailable" });
    list.set(ban("bob"));
    const kept = await book.lift(ban("bob")).catch((error) => error);
    expect(kept).toMatchObject({ status: 503 });
    expect(orders).toEqual([]);
    expect([...list.all()]).toEqual([ban("bob")]);
    book.close();
  });

  test("forgets in the file, too, what has ended", async () => {
    using folder = new TempFolder();
    const file = join(folder.path, "sanctions.db");
    const now = Date.now();
    const list = new Sanctions();
    const book = new SanctionBook(list, new SanctionsFile(file), reach());
    await book.impose(ban("ann", now + 1000));
    await book.impose(ban("bob"));
    // As a gateway of the same thread does.
    list.sweep(now + 1000);
    book.sweep(now + 1000);
    book.close();
    const again = new SanctionsFile(file);
    expect(again.all()).toEqual([ban("bob")]);
    again.close();
  });
});
