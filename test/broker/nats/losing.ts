import { spyOn } from "bun:test";
import type { Msg } from "@nats-io/transport-node";
import { Link } from "../../../src/broker/nats/link.ts";

/** Loses live messages before brokers that subscribe from now on see them. @param lose is asked for each */
export function losing(lose: (msg: Msg) => boolean): Disposable {
  const { subscribe } = Link.prototype;
  const spy = spyOn(Link.prototype, "subscribe").mockImplementation(function (
    this: Link,
    subject,
    take,
  ) {
    return subscribe.call(this, subject, (msg) => {
      if (!lose(msg)) take(msg);
    });
  });
  return { [Symbol.dispose]: () => spy.mockRestore() };
}
