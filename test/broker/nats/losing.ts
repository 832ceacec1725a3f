import { spyOn } from "bun:test";
import { Link } from "../../../src/broker/nats/link.ts";

export interface Heard {
  readonly subject: string;
  readonly body: string;
}

/** Loses messages before links that subscribe from now on hear them. @param lose is asked for each that is no answer */
export function losing(lose: (heard: Heard) => boolean): Disposable {
  const { listen, subscribe } = Link.prototype;
  const spies = [
    spyOn(Link.prototype, "listen").mockImplementation(function (
      this: Link,
      subject,
      take,
    ) {
      return listen.call(this, subject, (message) => {
        const { body } = message;
        if (subject.startsWith("_INBOX.") || !lose({ subject, body }))
          take(message);
      });
    }),
    spyOn(Link.prototype, "subscribe").mockImplementation(function (
      this: Link,
      subject,
      take,
    ) {
      return subscribe.call(this, subject, (msg) => {
        if (!lose({ subject: msg.subject, body: msg.string() })) take(msg);
      });
    }),
  ];
  return {
    [Symbol.dispose]() {
      for (const spy of spies) spy.mockRestore();
    },
  };
}
