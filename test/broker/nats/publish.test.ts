import {
  afterAll,
  beforeAll,
  describe,
  expect,
  spyOn,
  test,
  setDefaultTimeout,
} from "bun:test";
import type { BrokerError, Published } from "../../../src/broker/broker.ts";
import { Link } from "../../../src/broker/nats/link.ts";
import { natsServer, NatsServers, tellSkipped } from "../../support/nats.ts";
import { draft, publish } from "../contract.ts";
import { wholeHistory } from "./load.ts";
import {
  freshPrefix,
  openBroker,
  type NatsBrokerUnderTest,
} from "./support.ts";

tellSkipped("publishes that NATS loses");
// Servers take seconds to start and to choose leaders. The preload reaches the first file of a run only.
setDefaultTimeout(60_000);

/** What happens to a message on its way to the stream: nothing, it is lost, or its answer is. */
type Fate = "arrives" | "is lost" | "goes unanswered";

describe.skipIf(!natsServer)("a publish over NATS", () => {
  let servers: NatsServers;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
  });
  afterAll(() => servers[Symbol.asyncDispose]());

  /** @param fate of the nth attempt to send this text, from 1 on */
  function onTheWay(fate: (text: string, attempt: number) => Fate): Disposable {
    const send = Link.prototype.publish;
    const attempts = new Map<string, number>();
    const spy = spyOn(Link.prototype, "publish").mockImplementation(function (
      this: Link,
      subject,
      body,
      length,
      reply,
      headers,
    ) {
      const { text } = JSON.parse(body) as { text?: string };
      if (text === undefined)
        return send.call(this, subject, body, length, reply, headers);
      const attempt = (attempts.get(text) ?? 0) + 1;
      attempts.set(text, attempt);
      const happens = fate(text, attempt);
      if (happens === "is lost") return;
      const to = happens === "arrives" ? reply : "nowhere";
      send.call(this, subject, body, length, to, headers);
    });
    return { [Symbol.dispose]: () => spy.mockRestore() };
  }

  const settle = (
    { broker }: NatsBrokerUnderTest,
    texts: readonly string[],
  ): Promise<PromiseSettledResult<Published>[]> =>
    Promise.allSettled(
      texts.map((text) =>
        publish(broker, draft("a", text, { id: text }), text),
      ),
    );

  const stored = async (under: NatsBrokerUnderTest): Promise<string[]> =>
    (await wholeHistory(under, "a")).map(({ text }) => text);

  test("that was lost is sent again", async () => {
    using _ = onTheWay((_text, n) => (n === 1 ? "is lost" : "arrives"));
    await using under = await openBroker(servers);
    await under.broker.subscribe("a");
    const [result] = await settle(under, ["one"]);
    expect(result).toMatchObject({ value: { duplicate: false } });
    expect(under.delivered).toMatchObject([{ origin: "one" }]);
  });

  test("that was lost with all after it is sent again with them, in their order", async () => {
    using _ = onTheWay((_text, n) => (n === 1 ? "is lost" : "arrives"));
    await using under = await openBroker(servers);
    await under.broker.subscribe("a");
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`);
    const results = await settle(under, texts);
    expect(results.every(({ status }) => status === "fulfilled")).toBe(true);
    expect(await stored(under)).toEqual(texts);
    expect(under.delivered.map(({ origin }) => origin)).toEqual(texts);
  });

  test("that was lost while a later one was stored is not sent again: that would turn them round", async () => {
    using _ = onTheWay((text, n) =>
      text === "1" && n === 1 ? "is lost" : "arrives",
    );
    await using under = await openBroker(servers);
    await under.broker.subscribe("a");
    const results = await settle(under, ["0", "1", "2", "3"]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    const { reason } = results[1] as { reason: BrokerError };
    expect(reason.code).toBe("outcome_unknown");
    expect(reason.retryAfterMs).toBeGreaterThan(0);
    expect(await stored(under)).toEqual(["0", "2", "3"]);
    // Its sender decides, with the same id.
    const [again] = await settle(under, ["1"]);
    expect(again).toMatchObject({ value: { duplicate: false } });
    expect(await stored(under)).toEqual(["0", "2", "3", "1"]);
  });

  test("whose answer was lost is known by its event", async () => {
    using _ = onTheWay(() => "goes unanswered");
    await using under = await openBroker(servers);
    await under.broker.subscribe("a");
    const texts = ["one", "two"];
    const results = await settle(under, texts);
    expect(results).toMatchObject([
      { value: { duplicate: false } },
      { value: { duplicate: false } },
    ]);
    expect(await stored(under)).toEqual(texts);
  });

  test("whose answer was lost, to a room nobody hears, is found by its id and no duplicate", async () => {
    using _ = onTheWay((_text, n) => (n === 1 ? "goes unanswered" : "arrives"));
    await using under = await openBroker(servers);
    const [one, two] = await settle(under, ["one", "two"]);
    const history = await wholeHistory(under, "a");
    expect(history.map(({ text }) => text)).toEqual(["one", "two"]);
    for (const [i, result] of [one, two].entries()) {
      const { seq, ts } = history[i]!;
      expect(result).toMatchObject({ value: { seq, ts, duplicate: false } });
    }
  });

  test("whose answer was lost, of a message deleted since, is found by what is left of it", async () => {
    const prefix = freshPrefix();
    await using other = await openBroker(servers, { prefix });
    await other.broker.subscribe("a");
    using _ = onTheWay((text) =>
      text === "one" ? "goes unanswered" : "arrives",
    );
    // Nobody hears the room here: the stream is searched for it.
    await using under = await openBroker(servers, { prefix });
    const results = settle(under, ["zero", "one", "two"]);
    await other.until(() => other.delivered.length === 3);
    const { seq, ts } = other.delivered[1]!.event;
    expect(await other.broker.delete("a", seq)).toBe("deleted");
    expect(await results).toMatchObject([
      { value: { duplicate: false } },
      { value: { seq, ts, duplicate: false } },
      { value: { duplicate: false } },
    ]);
  });

  test("is a repeat where its id is known here: of one under way, or of one that was heard", async () => {
    const prefix = freshPrefix();
    const options = { prefix, recentIds: 10 };
    await using other = await openBroker(servers, { prefix });
    await using under = await openBroker(servers, options);
    const { broker } = under;
    const repeat = (text: string): Promise<Published | BrokerError> | false => {
      const { promise, resolve } = Promise.withResolvers<
        Published | BrokerError
      >();
      const again = draft("a", "other words", { id: text });
      return (
        broker.repeat(again, "", (_draft, _origin, outcome) =>
          resolve(outcome),
        ) && promise
      );
    };
    await broker.subscribe("a");
    expect(repeat("one")).toBe(false);
    const first = publish(broker, draft("a", "one", { id: "one" }), "");
    const joined = await repeat("one");
    const { seq, ts } = await first;
    expect(joined).toEqual({ seq, ts, duplicate: true });
    expect(await repeat("one")).toEqual({ seq, ts, duplicate: true });
    const heard = await publish(
      other.broker,
      draft("a", "two", { id: "two" }),
      "",
    );
    await under.until(() => under.delivered.length === 2);
    expect(await repeat("two")).toEqual({ ...heard, duplicate: true });
    expect(under.delivered).toHaveLength(2);
  });

  test("that never arrives ends at its deadline, and so do its repeats", async () => {
    using _ = onTheWay(() => "is lost");
    await using under = await openBroker(servers, { timeoutMs: 500 });
    await under.broker.subscribe("a");
    const results = await settle(under, ["one", "one"]);
    for (const result of results)
      expect(result).toMatchObject({ reason: { code: "outcome_unknown" } });
    expect(under.delivered).toEqual([]);
  });
});
